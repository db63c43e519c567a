package upstream

import (
	"fmt"
	"testing"
	"time"
)

func TestServersAreChosenByLoad(t *testing.T) {
	g := groupOf(t, Settings{}, "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")
	g.Servers[0].inFlight.Store(10)
	g.refused(g.Servers[1], nil)
	first := map[string]int{}
	for range 100 {
		c := g.candidates(nil)
		if len(c) != 3 || c[2] != g.Servers[1] {
			t.Fatalf("the candidates are %v", c)
		}
		first[c[0].Name]++
	}
	if fmt.Sprint(first) != "map[127.0.0.1:3:100]" {
		t.Errorf("first tried: %v, want always the idle one", first)
	}
}

func TestServersThatAreNotUpAreTriedLastInTheOrderOfPromise(t *testing.T) {
	g := groupOf(t, Settings{}, "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3", "http://127.0.0.1:4")
	now := time.Now()
	g.Servers[0].down.Store(true)
	g.Servers[1].ejectedUntil.Store(now.Add(time.Hour).UnixNano())
	g.refused(g.Servers[2], nil)
	for range 20 {
		for i, s := range g.candidates(nil) {
			if s != g.Servers[3-i] {
				t.Fatalf("candidate %d is %s", i, s.Name)
			}
		}
	}
}
