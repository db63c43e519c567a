package legacy

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFaultsHappenOnTheWire(t *testing.T) {
	for name, c := range map[string]struct {
		fault    Fault
		status   int
		err      error
		executed int
	}{
		"none":                     {Fault{}, 200, nil, 1},
		"cut before the status":    {Fault{Cut: CutBeforeStatus}, 0, io.ErrUnexpectedEOF, 1},
		"cut, nothing executed":    {Fault{Cut: CutBeforeStatus, SkipExecution: true}, 0, io.ErrUnexpectedEOF, 0},
		"cut in the header":        {Fault{Cut: CutInHeader}, 0, io.ErrUnexpectedEOF, 1},
		"cut in the body":          {Fault{Cut: CutInBody}, 0, io.ErrUnexpectedEOF, 1},
		"reset":                    {Fault{Cut: CutBeforeStatus, Reset: true}, 0, syscall.ECONNRESET, 1},
		"status instead":           {Fault{SkipExecution: true, Status: 503}, 503, nil, 0},
		"status after executing":   {Fault{Status: 500}, 500, nil, 1},
		"answer later":             {Fault{DelayAfter: 20 * time.Millisecond}, 200, nil, 1},
		"execution and all, later": {Fault{DelayBefore: 20 * time.Millisecond}, 200, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, address := start(t, Options{Fault: func(Request) Fault { return c.fault }})
			began := time.Now()
			r, err := post(t, address, "/openApi/saveJob", jsonType, `{"appId":1}`)
			if r.Status != c.status || !errors.Is(err, c.err) {
				t.Errorf("status %d, error %v; want %d, %v", r.Status, err, c.status, c.err)
			}
			if got := s.Executed(""); got != c.executed {
				t.Errorf("%d executions, want %d", got, c.executed)
			}
			if late := c.fault.DelayBefore + c.fault.DelayAfter; time.Since(began) < late {
				t.Errorf("answered before %v", late)
			}
		})
	}
}

func TestABodyThatEndsEarlyIsRecordedAndNotExecuted(t *testing.T) {
	s, address := start(t, Options{})
	conn, err := net.Dial("tcp", address) //nolint:noctx // a test's connection
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST /openApi/saveJob HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"appId\":1}"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(conn)
	if err != nil || strings.Contains(string(rest), "200") {
		t.Errorf("answered %q, %v", rest, err)
	}
	if r := s.Requests(); len(r) != 1 || !r[0].Broken || s.Executed("") != 0 {
		t.Errorf("recorded %+v, executed %d", r, s.Executed(""))
	}
}

func TestClosingEndsCallsThatAreDelayed(t *testing.T) {
	arrived := make(chan struct{})
	s, address := start(t, Options{Fault: func(Request) Fault {
		close(arrived)
		return Fault{DelayBefore: time.Hour}
	}})
	go func() {
		<-arrived
		_ = s.Close()
	}()
	if _, err := post(t, address, "/openApi/saveJob", jsonType, `{"appId":1}`); err == nil {
		t.Error("an answer came")
	}
	if got := s.Executed(""); got != 0 {
		t.Errorf("%d executions, want 0", got)
	}
}
