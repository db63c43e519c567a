package upstream

import (
	"errors"
	"testing"
	"time"
)

func TestChecksInARowDecide(t *testing.T) {
	g := groupOf(t, Settings{Health: Health{Active: &ActiveHealth{Interval: time.Second, Timeout: time.Second, Unhealthy: 3, Healthy: 2}}}, "http://127.0.0.1:1")
	c := newChecker(g, g.Servers[0])
	against := 0
	for i, step := range []struct {
		ok, down bool
	}{
		{true, false}, {false, false}, {false, false}, {true, false}, {false, false}, {false, false}, {false, true},
		{false, true}, {true, true}, {false, true}, {true, true}, {true, false}, {false, false},
	} {
		var err error
		if !step.ok {
			err = errors.New("no")
		}
		against = c.learn(err, against)
		if got := g.Servers[0].down.Load(); got != step.down {
			t.Errorf("after check %d: down %v, want %v", i, got, step.down)
		}
	}
}
