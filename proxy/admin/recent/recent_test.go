package recent

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"powerjob-shim/rules"
)

func TestTheLastHourIsCountedByTheMinute(t *testing.T) {
	r := New()
	now := time.Date(2026, 1, 2, 10, 0, 30, 0, time.UTC)
	r.Decided(now, rules.Forwarded) // an hour and a minute before the last one
	for range 3 {
		r.Decided(now.Add(61*time.Minute), rules.Replayed)
	}
	r.Decided(now.Add(2*time.Minute), rules.Forwarded)
	r.Decided(now, "no decision")

	hour := r.Minutes(now.Add(61 * time.Minute))
	var forwarded, replayed uint64
	for _, m := range hour {
		forwarded += m.Counts[rules.Forwarded]
		replayed += m.Counts[rules.Replayed]
	}
	if len(hour) != 60 || forwarded != 1 || replayed != 3 || hour[59].Counts[rules.Replayed] != 3 {
		t.Errorf("%d minutes, %d forwarded, %d replayed: %v", len(hour), forwarded, replayed, hour)
	}
	// The minute that took the slot of an older one begins at 0.
	r.Decided(now.Add(60*time.Minute), rules.Forwarded)
	if got := r.Minutes(now.Add(61 * time.Minute))[58].Counts[rules.Forwarded]; got != 1 {
		t.Errorf("%d in a minute that had one", got)
	}
}

func TestHowLateADroppedCallCame(t *testing.T) {
	r := New()
	now := r.start.Add(time.Minute)
	key, other := [32]byte{1, 2, 3, 4, 5, 6}, [32]byte{1, 2, 9, 4, 5, 6} // in one slot
	if d := r.After(now, key); d != 0 {
		t.Errorf("%v after a call that there never was", d)
	}
	r.Led(now, key)
	if d := r.After(now.Add(17*time.Millisecond), key); d != 17*time.Millisecond {
		t.Errorf("%v", d)
	}
	if d := r.After(now, other); d != 0 {
		t.Errorf("%v after another call", d)
	}
}

func TestListsKeepTheLatest(t *testing.T) {
	r := New()
	now := time.Now()
	for i := range maxDrops + 7 {
		r.Dropped(Drop{Call: strconv.Itoa(i)})
	}
	drops := r.Drops()
	if len(drops) != maxDrops || drops[0].Call != strconv.Itoa(maxDrops+6) || drops[maxDrops-1].Call != "7" {
		t.Errorf("%d drops from %s to %s", len(drops), drops[0].Call, drops[len(drops)-1].Call)
	}

	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	for i := range maxClients + 1 {
		r.Resent(now.Add(time.Duration(i)*time.Second), addr(i), "saveJob")
	}
	latest := now.Add(maxClients * time.Second)
	r.Resent(latest, addr(maxClients), "runJob")
	clients := r.Clients(latest)
	if len(clients) != maxClients || clients[0].Addr != addr(maxClients) || clients[0].Resends != 2 || clients[0].Call != "runJob" {
		t.Errorf("%d clients, the first is %+v", len(clients), clients[0])
	}
	if left := r.Clients(latest.Add(61 * time.Minute)); len(left) != 0 {
		t.Errorf("%d clients after an hour of silence", len(left))
	}
}

// A caller may send 64 KiB as its app id: neither they nor the header around a
// short one may be kept.
func TestLittleIsKeptOfADroppedCallsApp(t *testing.T) {
	r := New()
	header := "app1" + strings.Repeat("x", 1<<16)
	for _, c := range []struct{ app, want string }{
		{header[:4], "app1"},
		{strings.Repeat("a", 64), strings.Repeat("a", 64)},
		{strings.Repeat("a", 65), strings.Repeat("a", 64) + "…"},
		{"a" + strings.Repeat("应", 30), "a" + strings.Repeat("应", 21) + "…"},
		{strings.Repeat("应", 30), strings.Repeat("应", 21) + "…"}, // the 64th byte is the first one of a character
	} {
		r.Dropped(Drop{App: c.app})
		got := r.Drops()[0].App
		if got != c.want {
			t.Errorf("%d bytes are shown as %q, want %q", len(c.app), got, c.want)
		}
		if unsafe.StringData(got) == unsafe.StringData(c.app) {
			t.Errorf("%q is no copy: it keeps the header", got)
		}
	}
}

func BenchmarkDecided(b *testing.B) {
	r, now := New(), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		r.Decided(now, rules.Forwarded)
		r.Led(now, [32]byte{1})
	}
}
