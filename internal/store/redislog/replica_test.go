package redislog

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// TestReplicasThatReadTheSameLogDecideTheSame plays random logs to two
// replicas; one of them gets parts of it twice.
func TestReplicasThatReadTheSameLogDecideTheSame(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		a, b := NewReplica("g", dedup.Limits{Entries: 40}), NewReplica("g", dedup.Limits{Entries: 40})
		at := time.Unix(1_000_000, 0)
		var log []*Event
		numbers := map[uint64]uint64{}
		for i := range 500 {
			at = at.Add(time.Duration(rng.IntN(300)) * time.Millisecond)
			e := randomEvent(rng, i)
			e.Replica = 1 + rng.Uint64N(3)
			numbers[e.Replica]++
			e.N = numbers[e.Replica]
			log = append(log, e)
			copied, err := decode(e.encode())
			if err != nil {
				t.Fatal(err)
			}
			d1, r1, _ := a.Apply(at, e)
			d2, r2, _ := b.Apply(at, copied)
			if !reflect.DeepEqual(d1, d2) && fmt.Sprint(d1.Verdict, d1.Reason, d1.Leader) != fmt.Sprint(d2.Verdict, d2.Reason, d2.Leader) {
				t.Fatalf("seed %d, event %d: %+v and %+v", seed, i, d1, d2)
			}
			if len(r1) != len(r2) {
				t.Fatalf("seed %d, event %d: %v and %v went on", seed, i, r1, r2)
			}
			for _, old := range log[max(0, len(log)-rng.IntN(4)):] {
				if _, _, fresh := b.Apply(at, old); fresh {
					t.Fatalf("seed %d, event %d: applied twice", seed, i)
				}
			}
		}
		if s1, s2 := a.machine.Stats(), b.machine.Stats(); s1 != s2 {
			t.Errorf("seed %d: %+v and %+v", seed, s1, s2)
		}
	}
}

func randomEvent(rng *rand.Rand, i int) *Event {
	recent := dedup.ID(max(1, i-rng.IntN(20)))
	if rng.IntN(50) == 0 {
		return &Event{kind: alone}
	}
	switch rng.IntN(8) {
	case 0, 1, 2:
		return &Event{kind: arrive, call: dedup.Call{
			ID: dedup.ID(i + 1), Key: dedup.Key{byte(rng.IntN(5))}, App: "1", Token: access.Token{byte(rng.IntN(4))},
			Subjects: openapi.Subjects{Known: []openapi.Subject{{Kind: openapi.Job, ID: rng.Int64N(3)}}},
			Window:   5 * time.Second, Lease: 20 * time.Second, Dedup: rng.IntN(5) > 0, Body: rng.IntN(2) > 0,
		}}
	case 3, 4:
		out := dedup.Outcome{Kind: dedup.OutcomeKind(rng.IntN(5)), Status: 200}
		if out.Kind == dedup.Kept {
			out.Answer = &dedup.Answer{Status: 200, Body: []byte("x")}
		}
		return &Event{kind: finish, id: recent, outcome: out}
	case 5:
		return &Event{kind: leave, id: recent}
	case 6:
		return &Event{kind: delivered, ids: []dedup.ID{recent}}
	}
	if rng.IntN(2) == 0 {
		return &Event{kind: tick}
	}
	return &Event{kind: issued, issue: dedup.Issue{
		App: "1", Token: access.Token{byte(rng.IntN(4))}, Requested: time.Unix(1_000_000, 0), Bare: true, Window: 5 * time.Second,
	}}
}

func TestTheTimeOfALogNeverGoesBack(t *testing.T) {
	r := NewReplica("g", dedup.Limits{})
	at := time.Unix(1000, 0)
	r.Apply(at, &Event{Replica: 1, N: 1, kind: tick})
	r.Apply(at.Add(-time.Second), &Event{Replica: 1, N: 2, kind: tick})
	if !r.now.After(at) || r.now.Sub(at) > time.Millisecond {
		t.Errorf("the time is %v", r.now)
	}
	// Another clock, an hour behind: time goes on from where it was.
	r.Rebase(at.Add(-time.Hour))
	r.Apply(at.Add(-time.Hour).Add(time.Second), &Event{Replica: 1, N: 3, kind: tick})
	if got := r.now.Sub(at); got < time.Second || got > time.Second+time.Millisecond {
		t.Errorf("a second later it is %v later", got)
	}
}

func TestNobodyDiesWhileNobodyIsHeard(t *testing.T) {
	r := NewReplica("g", dedup.Limits{})
	at := time.Unix(1000, 0)
	c := dedup.Call{ID: 1, Window: time.Minute, Lease: time.Hour, Dedup: true, Body: true}
	r.Apply(at, &Event{Replica: 1, N: 1, kind: arrive, call: c})
	c.ID = 2
	// Redis was away for a minute.
	at = at.Add(time.Minute)
	if d, _, _ := r.Apply(at, &Event{Replica: 2, N: 1, kind: arrive, call: c}); d.Verdict != dedup.Wait {
		t.Errorf("verdict %d", d.Verdict)
	}
	for i := range uint64(10) {
		at = at.Add(heartbeat)
		if _, resumed, _ := r.Apply(at, &Event{Replica: 2, N: 2 + i, kind: tick}); len(resumed) > 0 {
			if i != 5 { // the first beyond deadAfter
				t.Errorf("dead after %d heartbeats", i+1)
			}
			return
		}
	}
	t.Error("the dead replica lives on")
}

func TestACallWhoseReplicaDecidedOtherwiseBlocksNobody(t *testing.T) {
	r := NewReplica("g", dedup.Limits{})
	at := time.Unix(1000, 0)
	c := dedup.Call{ID: 1, Window: time.Minute, Lease: time.Hour, Dedup: true, Body: true}
	r.Apply(at, &Event{Replica: 1, N: 1, kind: arrive, call: c}) // its replica replayed an answer nobody else has
	r.Apply(at, &Event{Replica: 1, N: 2, kind: delivered, ids: []dedup.ID{1}})
	c.ID = 2
	if d, _, _ := r.Apply(at, &Event{Replica: 2, N: 1, kind: arrive, call: c}); d.Verdict != dedup.Lead {
		t.Errorf("verdict %d", d.Verdict)
	}
	if n := r.machine.Stats().InFlight; n != 1 {
		t.Errorf("%d in flight", n)
	}
}

func TestWhatWasDecidedAloneMakesNoEvidence(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	r := NewReplica("g", dedup.Limits{})
	n := uint64(0)
	apply := func(e *Event) dedup.Ruling {
		n++
		e.Replica, e.N, at = 1, n, at.Add(time.Millisecond)
		d, _, _ := r.Apply(at, e)
		return d
	}
	call := func(id dedup.ID, token byte) dedup.Ruling {
		d := apply(Arrival(dedup.Call{ID: id, Key: dedup.Key{1}, App: "1", Token: access.Token{token}, Dedup: true, Window: 5 * time.Second}))
		if d.Verdict == dedup.Lead {
			apply(Ending(id, dedup.Outcome{Kind: dedup.Kept, Answer: &dedup.Answer{Status: 200}}))
		}
		apply(&Event{kind: delivered, ids: []dedup.ID{id}})
		return d
	}
	login := func(token byte) {
		apply(Login(dedup.Issue{App: "1", Token: access.Token{token}, Requested: at, Bare: true, Window: 5 * time.Second}))
	}
	call(1, 1)
	login(2)
	if d := call(2, 2); d.Verdict != dedup.Replay {
		t.Fatalf("a re-send: %+v", d)
	}
	call(3, 2)
	login(3)
	apply(&Event{kind: alone})
	if d := call(4, 3); d.Verdict != dedup.Lead {
		t.Errorf("after calls that this replica did not know of: %+v", d)
	}
}
