package listen

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/internal/await"
)

var quiet = log.New(io.Discard, "", 0)

func TestOpenReportsATakenPortAndLeavesNoneOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.3:0") // where nobody else gets ports
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	free, err := net.Listen("tcp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	_, err = Open(Config{
		Handler: http.NotFoundHandler(), Life: &house{life: t.Context()}, Logger: zap.NewNop(),
		Clients: []Listener{{Address: free.Addr().String()}, {Address: taken.Addr().String()}}, AdminAddress: "127.0.0.1:0", Admin: &http.Server{},
	})
	if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("got %v", err)
	}
	again, err := net.Listen("tcp", free.Addr().String())
	if err != nil {
		t.Fatalf("the first listener is still open: %v", err)
	}
	_ = again.Close()
}

func TestServeEndsWhenAListenerFails(t *testing.T) {
	h := &house{life: t.Context(), end: func() {}}
	s, err := Open(Config{Handler: http.NotFoundHandler(), Life: h, Logger: zap.NewNop(), Clients: []Listener{{Address: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	s.close()
	if err := s.Serve(context.Background(), context.Background()); err == nil || !strings.Contains(err.Error(), "serving") {
		t.Errorf("Serve returned %v", err)
	}
	if s.AdminAddr() != nil {
		t.Error("there is an admin address")
	}
	if !h.closed.Load() {
		t.Error("the lifecycle was not closed")
	}
}

// Draining waits for what the Lifecycle says is in flight, and ends it after the grace.
func TestDrainingEndsWhatIsInFlightAfterTheGrace(t *testing.T) {
	arrived := make(chan struct{})
	s := open(t, &house{grace: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		w.WriteHeader(http.StatusGatewayTimeout)
	}, Listener{})
	answer := make(chan string, 1)
	c := dial(t, s.addr)
	go func() { answer <- exchange(c, call) }()
	<-arrived
	s.stop()
	if got := <-answer; statusOf(got) != 504 {
		t.Errorf("the client got %q", got)
	}
	if err := s.wait(t); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if !s.house.draining.Load() || !s.house.closed.Load() || s.house.InFlight() != 0 {
		t.Errorf("draining %t, closed %t, %d in flight", s.house.draining.Load(), s.house.closed.Load(), s.house.InFlight())
	}
	if _, err := s.clients[0].Accept(); err == nil {
		t.Error("the address is still open")
	}
	if n := s.logs.FilterMessageSnippet("the grace is over").Len(); n != 1 {
		t.Errorf("the end of the grace is logged %d times", n)
	}
}

func TestASecondSignalEndsTheDelay(t *testing.T) {
	s := open(t, &house{delay: time.Hour}, func(http.ResponseWriter, *http.Request) {}, Listener{})
	s.stop()
	await.That(t, "draining", s.house.draining.Load)
	if got := raw(t, s.addr, closing); statusOf(got) != 200 {
		t.Errorf("during the delay the client got %q", got)
	}
	s.now()
	if err := s.wait(t); err == nil || !strings.Contains(err.Error(), "at once") {
		t.Errorf("Serve returned %v", err)
	}
}

func TestEachListenerHasADoorOfItsOwn(t *testing.T) {
	doors := make(chan *Door, 1)
	to := &Redirect{Port: 7443}
	s := open(t, &house{}, func(_ http.ResponseWriter, r *http.Request) { doors <- DoorOf(r) },
		Listener{Redirect: to, BodyTimeout: time.Second, MinBodyRate: 7}, Listener{Redirect: to, TLS: secure(t)})
	raw(t, s.addr, closing)
	if d := <-doors; d.Redirect != to || d.Pace != (Pace{Timeout: time.Second, Rate: 7, After: defaultRateAfter}) {
		t.Errorf("plain: %+v", d)
	}
	c, err := dialTLS(t, s.Addrs()[1].String())
	if err != nil {
		t.Fatal(err)
	}
	exchange(c, closing)
	if d := <-doors; d.Redirect != nil || d.Pace != (Pace{Timeout: defaultBodyTimeout, After: defaultRateAfter}) {
		t.Errorf("TLS: %+v", d)
	}
	if p := PaceOf(new(http.Request)); p != (Pace{Timeout: defaultBodyTimeout}) {
		t.Errorf("without a listener: %+v", p)
	}
}
