package upstream

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAServerIsEjectedForAGrowingWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Health{Passive: &PassiveHealth{Failures: 3, Eject: 10 * time.Second, MaxEject: 35 * time.Second}}
		g := groupOf(t, Settings{Health: h}, "http://127.0.0.1:1", "http://127.0.0.1:2")
		s := g.Servers[0]
		for i, want := range []time.Duration{10 * time.Second, 20 * time.Second, 35 * time.Second, 35 * time.Second} {
			for range 2 {
				g.failed(s)
			}
			g.answered(s, 503) // the third
			for range 10 {     // those that were under way
				g.failed(s)
			}
			time.Sleep(want - 1)
			if got := s.Standing(time.Now()); got != StandingEjected {
				t.Fatalf("ejection %d: %v just before %v", i, got, want)
			}
			time.Sleep(time.Nanosecond)
			if got := s.Standing(time.Now()); got != StandingUp {
				t.Fatalf("ejection %d: %v after %v", i, got, want)
			}
			g.answered(s, 200)
		}
		time.Sleep(h.Passive.MaxEject + 1)
		for range 3 {
			g.failed(s)
		}
		if away := s.ejectedUntil.Load() - time.Now().UnixNano(); away != int64(10*time.Second) {
			t.Errorf("after a quiet time it is ejected for %v, want 10s", time.Duration(away))
		}
	})
}

func TestAnAnswerBetweenFailuresEndsTheirRow(t *testing.T) {
	g := groupOf(t, Settings{Health: Health{Passive: &PassiveHealth{Failures: 2, Eject: time.Hour, MaxEject: time.Hour}}}, "http://127.0.0.1:1", "http://127.0.0.1:2")
	s := g.Servers[0]
	for range 10 {
		g.failed(s)
		g.answered(s, 404)
	}
	if got := s.Standing(time.Now()); got != StandingUp {
		t.Errorf("the server is %v", got)
	}
}

func TestTheLastServerIsNeverEjected(t *testing.T) {
	g := groupOf(t, Settings{Health: Health{Passive: &PassiveHealth{Failures: 1, Eject: time.Hour, MaxEject: time.Hour}}},
		"http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
	g.Servers[2].down.Store(true)
	for range 3 {
		for _, s := range g.Servers[:2] {
			g.failed(s)
		}
	}
	if a, b := g.Servers[0].Standing(time.Now()), g.Servers[1].Standing(time.Now()); a != StandingEjected || b != StandingUp {
		t.Errorf("the servers are %v and %v, want ejected and up", a, b)
	}
	// When another one is back, the next failure counts.
	g.Servers[2].down.Store(false)
	g.failed(g.Servers[1])
	if b := g.Servers[1].Standing(time.Now()); b != StandingEjected {
		t.Errorf("the second is %v, want ejected", b)
	}
}
