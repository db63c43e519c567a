package replay

import (
	"net/netip"
	"testing"
	"time"
)

// A warning comes back an hour later, not before.
func TestReSendsAreWarnedOfOnceAnHour(t *testing.T) {
	var w warnings
	addr, now := netip.MustParseAddr("10.0.0.1"), time.Now()
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Minute, false}, {time.Hour - 1, false}, {time.Hour, true}, {time.Hour + 1, false}} {
		if got := w.due(addr, now.Add(c.after)); got != c.want {
			t.Errorf("after %v due is %v", c.after, got)
		}
	}
}

// Several re-sends count only where they come within a minute, and however many
// clients there are, what is remembered of them is bounded.
func TestReSendsAreSeveralWithinAMinute(t *testing.T) {
	var r repeaters
	addr, now := netip.MustParseAddr("10.0.0.1"), time.Now()
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {50 * time.Second, false}, {time.Minute, false}, {100 * time.Second, true}, {119 * time.Second, true}, {170 * time.Second, false}} {
		if got := r.several(addr, now.Add(c.after)); got != c.want {
			t.Errorf("after %v several is %v", c.after, got)
		}
	}
	for i := range maxRepeaters + 100 {
		r.several(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), now.Add(time.Hour))
	}
	if len(r.last) > maxRepeaters+1 {
		t.Errorf("%d addresses are kept", len(r.last))
	}
}

// However many clients there are, the warnings' memory is bounded.
func TestWarningsAreBounded(t *testing.T) {
	var w warnings
	now := time.Now()
	for i := range maxWarned {
		w.due(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), now)
	}
	others := 0
	for i := range 100 {
		if w.due(netip.AddrFrom4([4]byte{11, 0, 0, byte(i)}), now) {
			others++
		}
	}
	if others != 1 || len(w.last) > maxWarned+1 {
		t.Errorf("%d warnings about others, %d addresses kept", others, len(w.last))
	}
	if !w.due(netip.MustParseAddr("11.0.0.1"), now.Add(warnEvery)) || len(w.last) != 1 {
		t.Errorf("an hour later %d addresses are kept", len(w.last))
	}
}
