package proxy

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/legacy"
)

// A caller hangs up while its call is at the server, and sends it again at
// once, as OkHttp does to the next address: over a connection that it has
// already.
func TestTheRetryOfACallerThatHungUpGetsTheFirstAnswer(t *testing.T) {
	const rounds = 50
	g := newGate(t, "runJob")
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
