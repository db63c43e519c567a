package redislog

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"powerjob-shim/internal/store/storetest"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// sampleEvents are one of each kind, and some with everything or nothing.
func sampleEvents() []*Event {
	subjects := []openapi.Subject{{Kind: openapi.Job, ID: 1}, {Kind: openapi.Workflow, ID: -1 << 63}}
	addr := netip.MustParseAddr("2001:db8::1")
	return []*Event{
		{Replica: 1, N: 1, kind: tick},
		{Replica: 1<<64 - 1, N: 1<<64 - 1, kind: arrive, call: dedup.Call{
			ID: 7, Key: dedup.Key{1, 31: 2}, App: "1", Token: access.Token{3, 15: 4}, Addr: addr,
			Subjects: openapi.Subjects{Known: subjects, Creates: true, Unknown: true, Unlisted: true},
			Agent:    openapi.AgentOf("okhttp/3.14.9"),
			Window:   time.Second, Lease: time.Minute, Dedup: true, Body: true, Observe: true, Issued: true,
		}},
		{Replica: 1, N: 3, kind: arrive, call: dedup.Call{ID: 7, Window: 1}},
		{Replica: 1, N: 4, kind: finish, id: 7, outcome: dedup.Outcome{Kind: dedup.Kept, Status: 200, Created: subjects, Answer: &dedup.Answer{
			Status: 200, Header: storetest.JSONHeader, Auth: "true", Body: []byte(`{"success":true}`)}}},
		{Replica: 1, N: 5, kind: finish, id: 7, outcome: dedup.Outcome{Kind: dedup.Kept, Status: 200, Answer: &dedup.Answer{
			Status: 200, Body: bytes.Repeat([]byte("abc"), 1000)}}},
		{Replica: 1, N: 6, kind: finish, id: 7, outcome: dedup.Outcome{Kind: dedup.Lost}},
		{Replica: 1, N: 7, kind: leave, id: 7},
		{Replica: 1, N: 8, kind: delivered, ids: []dedup.ID{1, 1<<64 - 1}},
		{Replica: 1, N: 9, kind: issued, issue: dedup.Issue{App: "1", Token: access.Token{1}, Addr: addr, Requested: time.Unix(1, 2), Bare: true, Window: 1}},
		{Replica: 1, N: 10, kind: presented, token: access.Token{9}},
		{Replica: 1, N: 11, kind: alone},
	}
}

func TestAnEventIsReadAsItWasWritten(t *testing.T) {
	for _, want := range sampleEvents() {
		got, err := decode(want.encode())
		if err != nil {
			t.Errorf("kind %d: %v", want.kind, err)
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("read  %+v\nwrote %+v", got, want)
		}
	}
}

func TestAnAnswerIsCompressedWhereThatHelps(t *testing.T) {
	long := bytes.Repeat([]byte(`{"id":1,"name":"job"},`), 1000)
	if n := len(appendAnswer(nil, &dedup.Answer{Status: 200, Body: long})); n > len(long)/10 {
		t.Errorf("%d bytes of %d", n, len(long))
	}
	short := []byte(`{"success":true,"data":1,"message":null}`)
	if n := len(appendAnswer(nil, &dedup.Answer{Status: 200, Body: short})); n > len(short)+10 {
		t.Errorf("%d bytes for %d", n, len(short))
	}
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	for _, e := range sampleEvents() {
		b := e.encode()
		for n := range len(b) {
			if _, err := decode(b[:n]); err == nil {
				t.Errorf("kind %d: the first %d of %d bytes are an event", e.kind, n, len(b))
			}
		}
		if _, err := decode(append(b, 0)); err == nil {
			t.Errorf("kind %d: a byte too many is nothing", e.kind)
		}
		b[0] = version + 1
		if _, err := decode(b); err == nil {
			t.Errorf("kind %d: another version is read", e.kind)
		}
	}
}

// FuzzDecode looks for entries that break a replica, and for two that are one.
func FuzzDecode(f *testing.F) {
	for _, e := range sampleEvents() {
		f.Add(e.encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decode(b)
		if err != nil {
			return
		}
		r := NewReplica("default", dedup.Limits{})
		r.Apply(time.Unix(1, 0), e)
		again, err := decode(e.encode())
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Errorf("%v: %+v became %+v", err, e, again)
		}
	})
}

func TestAHashTellsOnlyEqualFromUnequal(t *testing.T) {
	plain, keyed := veil{}, veil{func() [][]byte { return [][]byte{[]byte("0123456789abcdef0123456789abcdef")} }}
	key, token := dedup.Key{1}, access.Token{2}
	four, mapped := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:10.0.0.1")
	for _, v := range []veil{plain, keyed} {
		if v.token(access.Token{}) != (access.Token{}) || v.addr(netip.Addr{}).IsValid() {
			t.Error("nothing became something")
		}
		if v.addr(four) != v.addr(mapped) || v.addr(four) == v.addr(netip.MustParseAddr("10.0.0.2")) || v.addr(four) == mapped {
			t.Error("addresses are told apart wrongly")
		}
	}
	if keyed.key(key) == key || keyed.token(token) == token || keyed.addr(four) == plain.addr(four) {
		t.Error("the secret changes nothing")
	}
}

func TestEachNumberIsNewOnce(t *testing.T) {
	var s numbers
	for _, c := range []struct {
		n   uint64
		new bool
	}{
		{1, true}, {1, false}, {3, true}, {2, true}, {2, false}, {3, false},
		{3 + seenBack, true}, {3, false}, {4, true}, {4, false}, {seenBack, true},
		{1 << 40, true}, {1<<40 - 1, true}, {1<<40 - seenBack, false}, {1<<40 - seenBack + 1, true}, {5, false},
	} {
		if got := s.add(c.n); got != c.new {
			t.Errorf("%d: new %v, want %v", c.n, got, c.new)
		}
	}
}
