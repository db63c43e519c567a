package proxy

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/proxy/exchange"
)

// One thousand saves, a hundred reloads between and during them, every save
// repeated: by a client whose header is lost, which repeats by itself, and
// once more by hand, straddling the next reloads.
func TestReloadsNeitherLoseNorDoubleASave(t *testing.T) {
	const clients, saves, swaps = 4, 250, 100
	server, url := startLegacy(t, legacy.Options{})
	s := newShim(t, dedupSettings(t, url))
	hop := lowercasing(t, s.addr)
	var (
		done    atomic.Int64
		stopped = make(chan struct{})
		users   []*client.Client
		wg      sync.WaitGroup
	)
	for range clients {
		users = append(users, logIn(t, hop))
	}
	for i, user := range users {
		wg.Go(func() {
			for j := range saves {
				params := client.Params{"jobName": fmt.Sprint("client ", i), "priority": j}
				a, err := user.Call("saveJob", params)
				if err != nil || !a.Success {
					t.Errorf("save %d of client %d: %v, %q", j, i, err, a.Message)
					return
				}
				b, err := user.Call("saveJob", params)
				if err != nil || string(a.Data) != string(b.Data) {
					t.Errorf("save %d of client %d, again: %v, %s, want %s", j, i, err, b.Data, a.Data)
				}
				done.Add(1)
			}
		})
	}
	go func() { wg.Wait(); close(stopped) }()
	reloads := 0
	for reloads < swaps {
		settings := dedupSettings(t, url)
		up := settings.Upstreams["default"]
		up.Timeout += time.Duration(reloads % 3) // every third keeps the group
		settings.Upstreams["default"] = up
		if err := s.Swap(settings); err != nil {
			t.Fatal(err)
		}
		reloads++
		for target := int64(reloads * clients * saves / (swaps + 1)); done.Load() < target; { // spread over the whole run
			select {
			case <-stopped:
				if done.Load() < target {
					t.Fatal("the clients gave up")
				}
			case <-time.After(time.Millisecond):
			}
		}
	}
	<-stopped
	wantExecuted(t, server, "saveJob", clients*saves)
	if n := len(server.State().Jobs); n != clients*saves {
		t.Errorf("the server has %d jobs, want %d", n, clients*saves)
	}
}

func TestACallInFlightAndThoseWhoWaitOutliveAReload(t *testing.T) {
	g := newBarrier(t, "saveJob")
	server, url := startLegacy(t, legacy.Options{Fault: g.fault})
	s := newShim(t, dedupSettings(t, url))
	leader := async(t, s.addr, save(saveBody(0, "a")))
	<-g.arrived
	before := async(t, s.addr, save(saveBody(0, "a")))
	s.inFlight(t, 2)
	settings := dedupSettings(t, url)
	up := settings.Upstreams["default"]
	up.Timeout++
	settings.Upstreams["default"] = up
	if err := s.Swap(settings); err != nil {
		t.Fatal(err)
	}
	after := async(t, s.addr, save(saveBody(0, "a")))
	s.inFlight(t, 3)
	g.open()
	for want, answer := range map[string]<-chan string{"forwarded": leader, "coalesced": before} {
		if got := <-answer; statusOf(got) != 200 || decision(got) != want {
			t.Errorf("a caller got %q, want %s", got, want)
		}
	}
	if got := <-after; statusOf(got) != 200 || decision(got) != "coalesced" {
		t.Errorf("the caller after the reload got %q", got)
	}
	wantExecuted(t, server, "saveJob", 1)
}

func TestADrainWaitsForTheLeaderAndAnswersThoseWhoWait(t *testing.T) {
	g := newBarrier(t, "saveJob")
	s, server := newDedup(t, legacy.Options{Fault: g.fault})
	leader := async(t, s.addr, save(saveBody(0, "a")))
	<-g.arrived
	waiter := async(t, s.addr, save(saveBody(0, "a")))
	s.inFlight(t, 2)
	s.stop()
	eventually(t, "draining", s.draining.Load)
	g.open()
	for want, answer := range map[string]<-chan string{"forwarded": leader, "coalesced": waiter} {
		if got := <-answer; statusOf(got) != 200 || decision(got) != want {
			t.Errorf("a caller got %q, want %s", got, want)
		}
	}
	if err := <-s.done; err != nil {
		t.Errorf("Serve returned %v", err)
	} else {
		s.done <- nil
	}
	wantExecuted(t, server, "saveJob", 1)
}

// The caller has gone, but its retry may be on the way to another replica that
// shares the store: the call is not cut off.
func TestADrainWaitsForALeaderWhoseCallerHasGone(t *testing.T) {
	g := newBarrier(t, "saveJob")
	s, server := newDedup(t, legacy.Options{Fault: g.fault})
	c := dial(t, s.addr)
	if _, err := c.Write([]byte(save(saveBody(0, "a")))); err != nil {
		t.Fatal(err)
	}
	<-g.arrived
	_ = c.Close()
	s.stop()
	eventually(t, "draining", s.draining.Load)
	select {
	case err := <-s.done:
		t.Fatalf("Serve returned %v before the call had ended", err)
	case <-time.After(20 * time.Millisecond):
	}
	g.open()
	if err := <-s.done; err != nil {
		t.Errorf("Serve returned %v", err)
	} else {
		s.done <- nil
	}
	wantExecuted(t, server, "saveJob", 1)
	if line := s.logLine(t, 0); line[exchange.FieldStatus] != int64(hungUpStatus) || line[exchange.FieldDecision] != "forwarded" {
		t.Errorf("the log says %v", line)
	}
}

func TestOnceTheGraceIsOverLeaderAndWaiterAreToldSo(t *testing.T) {
	g := newBarrier(t, "saveJob")
	_, url := startLegacy(t, legacy.Options{Fault: g.fault})
	settings := dedupSettings(t, url)
	settings.Shutdown.Grace = time.Millisecond
	s := newShim(t, settings)
	leader := async(t, s.addr, save(saveBody(0, "a")))
	<-g.arrived
	waiter := async(t, s.addr, save(saveBody(0, "a")))
	s.inFlight(t, 2)
	s.stop()
	if got := <-leader; statusOf(got) != 504 || decision(got) != "unknown" || !strings.Contains(got, "may have been executed") {
		t.Errorf("the leader got %q", got)
	}
	// Which of the two ends comes first for the waiter is chance: its own, or
	// the leader's.
	if got := <-waiter; statusOf(got) != 504 && statusOf(got) != 503 || decision(got) != "unknown" {
		t.Errorf("the one who waited got %q", got)
	}
	for i := range 2 {
		if status := s.logLine(t, i)[exchange.FieldStatus]; status == int64(hungUpStatus) {
			t.Errorf("the log says %v of a caller who was there", status)
		}
	}
}
