package proxy

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/standin/legacy"
)

// A caller hangs up while its call is at the server, and sends it again at
// once, as OkHttp does to the next address: over a connection that it has
// already.
func TestTheRetryOfACallerThatHungUpGetsTheFirstAnswer(t *testing.T) {
	const rounds = 50
	g := newBarrier(t, "runJob")
	held := make(chan struct{})
	s, server := newDedup(t, legacy.Options{Fault: func(r legacy.Request) legacy.Fault {
		if r.Call == "runJob" {
			g.arrived <- struct{}{}
			<-held
		}
		return legacy.Fault{}
	}})
	raw(t, s.addr, save(saveBody(0, "a")))
	message := form("runJob", "jobId=1&appId=1")
	for range rounds {
		first, second := dial(t, s.addr), dial(t, s.addr)
		if _, err := io.WriteString(first, message); err != nil {
			t.Fatal(err)
		}
		<-g.arrived
		_ = first.Close()
		if _, err := io.WriteString(second, message); err != nil {
			t.Fatal(err)
		}
		s.inFlight(t, 2)
		held <- struct{}{}
		_ = second.SetReadDeadline(time.Now().Add(patience))
		answer, err := readRaw(bufio.NewReader(second))
		if err != nil || statusOf(answer) != 200 || decision(answer) != "coalesced" || !strings.Contains(answer, `"success":true`) {
			t.Fatalf("the retry got %q, %v", answer, err)
		}
		_ = second.Close()
		s.inFlight(t, 0)
	}
	wantExecuted(t, server, "runJob", rounds)
}

// probe is a caller who does something when its answer begins.
type probe struct {
	discard
	begins func()
}

func (p *probe) WriteHeader(int) { p.begins() }

// A client may repeat a call as soon as it has the first byte of its answer.
func TestTheAnswerIsOnRecordBeforeItIsWritten(t *testing.T) {
	s, server := newDedup(t, legacy.Options{})
	body := saveBody(0, "a")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(save(body))))
	if err != nil {
		t.Fatal(err)
	}
	var again string
	s.ServeHTTP(&probe{discard{http.Header{}}, func() { again = exchangeOnce(t, s.addr, save(body)) }}, r)
	if decision(again) != "replayed" {
		t.Errorf("the repeated call got %q", again)
	}
	wantExecuted(t, server, "saveJob", 1)
}
