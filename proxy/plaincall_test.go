package proxy

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/tcpfaults"
	"powerjob-shim/proxy/listen"
	"powerjob-shim/rules/openapi"
)

// eachServer runs a test with plain calls served by themselves, and by net/http's
// server. Not for tests that run in parallel with others.
func eachServer(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	before := servesPlainCalls
	t.Cleanup(func() { servesPlainCalls = before })
	for _, own := range []bool{true, false} {
		servesPlainCalls = own
		t.Run(map[bool]string{true: "by itself", false: "by net/http"}[own], test)
	}
}

// A caller whose request was refused before its body had been read goes on writing
// it, and must get the answer, and no reset. Both servers linger for half a second,
// so that a machine that stalls may need another try.
func TestARefusalReachesACallerWhoIsStillWriting(t *testing.T) {
	const size = 900 << 10 // more than is read to keep a connection, less than is lingered for
	message := fmt.Sprintf("POST /openApi/saveJob HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", size)
	for status, change := range map[int]func(s *Settings, l *listen.Listener){
		http.StatusForbidden:             func(s *Settings, _ *listen.Listener) { s.Access.Block = []string{"/openApi/saveJob"} },
		http.StatusRequestEntityTooLarge: func(s *Settings, _ *listen.Listener) { s.MaxBody = size / 2 },
		http.StatusServiceUnavailable:    func(_ *Settings, l *listen.Listener) { l.MaxConnections = 1 },
	} {
		eachServer(t, func(t *testing.T) {
			server := newRawServer(t, answerWith())
			settings, at := dedupSettings(t, server.url), listen.Listener{}
			change(&settings, &at)
			s := newShimAt(t, settings, nil, nil, at)
			try := func() error {
				if at.MaxConnections > 0 {
					first := dial(t, s.addr)
					defer func() { _ = first.Close() }()
					_, _ = io.WriteString(first, "POST /openApi/fetchAllJob HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
					if _, err := readRaw(bufio.NewReader(first)); err != nil {
						return err
					}
				}
				c := dial(t, s.addr)
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(patience))
				if _, err := io.WriteString(c, message); err != nil {
					return err
				}
				rd := bufio.NewReader(c)
				if _, err := rd.Peek(1); err != nil { // the answer is here
					return err
				}
				for range 9 {
					if _, err := io.WriteString(c, strings.Repeat("x", size/9)); err != nil {
						return err
					}
				}
				answer, err := readRaw(rd)
				if err == nil && statusOf(answer) != status {
					t.Fatalf("the caller got %q, want %d", answer, status)
				}
				return err
			}
			var err error
			for range 20 {
				if err = try(); err == nil {
					return
				}
			}
			t.Errorf("in twenty tries no %d reached its caller: %v", status, err)
		})
	}
}

// crossing is a server that answers with what it was asked for, in ways that tempt
// one to take it for another's answer: twice, in pieces, too long, or not at all.
func crossing(c net.Conn) {
	defer func() { _ = c.Close() }()
	rnd := rand.New(rand.NewPCG(uint64(c.RemoteAddr().(*net.TCPAddr).Port), 18))
	for rd := bufio.NewReader(c); ; {
		asked, err := readRaw(rd)
		if err != nil {
			return
		}
		_, id, _ := strings.Cut(bodyOf(asked), "who=")
		body := `{"success":true,"data":"` + id + `"}`
		answer := answerHead + strconv.Itoa(len(body)) + "\r\n\r\n" + body
		switch rnd.IntN(20) {
		case 0:
			answer += answer
		case 1:
			half := rnd.IntN(len(answer))
			_, _ = io.WriteString(c, answer[:half])
			runtime.Gosched()
			answer = answer[half:]
		case 2:
			_, _ = io.WriteString(c, answer)
			return
		case 3:
			answer += "x"
		case 4:
			_, _ = io.WriteString(c, answer[:rnd.IntN(len(answer))])
			return
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

const answerHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "

// No answer reaches another caller: on 64 connections, with callers that call
// again, write two calls at once, hang up, or write what net/http serves. More
// calls: POWERJOB_SHIM_CROSSTALK=2000000 go test -run AnotherCaller ./proxy
func TestNoAnswerReachesAnotherCaller(t *testing.T) {
	const connections = 64
	calls := 3_200
	if n, err := strconv.Atoi(os.Getenv("POWERJOB_SHIM_CROSSTALK")); err == nil {
		calls = n
	}
	s := newShim(t, dedupSettings(t, "http://"+tcpfaults.Serve(t, crossing)))
	var right, none atomic.Int64
	var all sync.WaitGroup
	for i := range connections {
		all.Go(func() {
			x := &crosser{rnd: rand.New(rand.NewPCG(uint64(i), 18)), addr: s.addr, name: strconv.Itoa(i)}
			defer x.hangUp()
			for n := 0; n < calls/connections; n++ {
				got, wrong := x.call(n)
				if wrong != "" {
					t.Errorf("connection %d, call %d: %s", i, n, wrong)
					return
				}
				if got {
					right.Add(1)
				} else {
					none.Add(1)
				}
			}
		})
	}
	all.Wait()
	if t.Logf("%d right answers, %d times none", right.Load(), none.Load()); right.Load() < none.Load() {
		t.Error("most calls should be answered")
	}
}

// crosser is a caller with one connection at a time.
type crosser struct {
	rnd        *rand.Rand
	addr, name string
	c          net.Conn // nil: none
	rd         *bufio.Reader
}

func (x *crosser) hangUp() {
	if x.c != nil {
		_ = x.c.Close()
		x.c = nil
	}
}

// call makes one or two calls. wrong: an answer was another's.
func (x *crosser) call(n int) (answered bool, wrong string) {
	if x.c == nil {
		c, err := net.Dial("tcp", x.addr)
		if err != nil {
			return false, ""
		}
		_ = c.SetDeadline(time.Now().Add(time.Hour))
		x.c, x.rd = c, bufio.NewReader(c)
	}
	ids := []string{fmt.Sprint(x.name, "-", n)}
	switch x.rnd.IntN(10) {
	case 0: // two at once
		ids = append(ids, ids[0]+"-b")
	case 1: // the same again: it may be answered from the record
		ids = append(ids, ids[0])
	}
	var message strings.Builder
	for _, id := range ids {
		message.WriteString(x.message("appId=1&who=" + id))
	}
	_, err := io.WriteString(x.c, message.String())
	if err != nil || x.rnd.IntN(50) == 0 {
		x.hangUp()
		return false, ""
	}
	for _, id := range ids {
		res, err := http.ReadResponse(x.rd, nil)
		if err != nil {
			x.hangUp()
			return false, ""
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.Close {
			x.hangUp()
		}
		if got := string(body); err == nil && res.StatusCode == 200 && got != `{"success":true,"data":"`+id+`"}` {
			return false, fmt.Sprintf("%s got %q", id, got)
		}
		if x.c == nil {
			break
		}
	}
	return true, ""
}

func (x *crosser) message(body string) string {
	call := []string{"runJob", "fetchJob", "disableJob", "saveJob", "runJob"}[x.rnd.IntN(5)]
	extra := ""
	if x.rnd.IntN(100) == 0 {
		extra = "Connection: X-Odd\r\n" // net/http serves the rest of this connection
	}
	return fmt.Sprintf("POST /openApi/%s HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n%s: 1\r\n%s: t%s\r\n%sContent-Length: %d\r\n\r\n%s",
		call, openapi.AppIDHeader, openapi.TokenHeader, x.name, extra, len(body), body)
}
