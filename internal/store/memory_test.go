package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// window is that of all calls here.
const window = 5 * time.Second

var verdicts = map[dedup.Verdict]string{dedup.Lead: "lead", dedup.Wait: "wait", dedup.Replay: "replay", dedup.Pass: "pass", dedup.Fail: "fail", dedup.Refuse: "refuse"}

// call is a call of job 1, equal to all others of the same words: a saveJob is under
// match: body, a runJob under match: resend.
func call(words, token string) dedup.Call {
	return dedup.Call{
		Group: "g", App: "1", Token: access.Fingerprint(token), Window: window, Lease: time.Minute,
		Key:      dedup.KeyParts{Body: []byte(words)}.Key(),
		Subjects: openapi.Subjects{Known: []openapi.Subject{{Kind: openapi.Job, ID: 1}}},
		Dedup:    true, Body: strings.HasPrefix(words, "saveJob"),
	}
}

// kept is a successful answer.
func kept(answer string) dedup.Outcome {
	return dedup.Outcome{Kind: dedup.Kept, Status: 200, Answer: &dedup.Answer{Status: 200, Body: []byte(answer)}}
}

// lead is what proxy does with a call: it is forwarded by exec, waits, or is
// answered.
func lead(ctx context.Context, s *Memory, in dedup.Call, exec func() dedup.Outcome) (dedup.Ruling, error) {
	in.ID = s.NextID()
	d := s.Arrive(in)
	defer s.Delivered(in.ID)
	if d.Verdict == dedup.Wait {
		var err error
		if d, err = s.Await(ctx, in.ID); err != nil {
			s.Leave(in.ID)
			return d, err
		}
	}
	if d.Verdict == dedup.Lead {
		s.Finish(in.ID, exec())
	}
	return d, nil
}

func TestOfManyEqualCallsOneIsForwarded(t *testing.T) {
	s := NewMemory(dedup.Limits{})
	const callers = 200
	var (
		forwarded, replayed atomic.Int32
		all                 sync.WaitGroup
		first               = make(chan struct{})
	)
	in := call("saveJob new A", "T")
	for range callers {
		all.Go(func() {
			d, err := lead(t.Context(), s, in, func() dedup.Outcome {
				forwarded.Add(1)
				<-first // until all but a few have come
				return kept("7")
			})
			if err != nil {
				t.Error(err)
			}
			if d.Verdict == dedup.Replay && string(d.Answer.Body) == "7" {
				replayed.Add(1)
			}
		})
	}
	for s.Stats().InFlight < callers/2 {
		time.Sleep(time.Millisecond)
	}
	close(first)
	all.Wait()
	if forwarded.Load() != 1 || replayed.Load() != callers-1 {
		t.Errorf("%d forwarded and %d replayed, want 1 and %d", forwarded.Load(), replayed.Load(), callers-1)
	}
	if n := s.Stats().InFlight; n != 0 {
		t.Errorf("%d are in flight still", n)
	}
}

func TestOfManyDifferentCallsAllAreForwarded(t *testing.T) {
	s := NewMemory(dedup.Limits{})
	const callers, each = 20, 500
	var (
		forwarded atomic.Int32
		all       sync.WaitGroup
	)
	for caller := range callers {
		all.Go(func() {
			for i := range each {
				in := call(fmt.Sprintf("saveJob new %d", caller*each+i), "T")
				if _, err := lead(t.Context(), s, in, func() dedup.Outcome { forwarded.Add(1); return kept("x") }); err != nil {
					t.Error(err)
				}
				s.Stats()
			}
		})
	}
	all.Wait()
	if n := forwarded.Load(); n != callers*each {
		t.Errorf("%d forwarded, want %d", n, callers*each)
	}
}

func TestAwaitWakesWhenTheLeaderEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemory(dedup.Limits{})
		first := call("saveJob 1 A", "T")
		first.ID = s.NextID()
		s.Arrive(first)
		var got [3]dedup.Ruling
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() {
				got[i], _ = lead(t.Context(), s, call("saveJob 1 A", "U"), nil)
			})
		}
		synctest.Wait()
		s.Finish(first.ID, kept("a"))
		all.Wait()
		for i, d := range got {
			if d.Verdict != dedup.Replay || !d.Waited || string(d.Answer.Body) != "a" {
				t.Errorf("caller %d: got %+v", i, d)
			}
		}
		if len(s.ended) != 0 {
			t.Errorf("%d channels were left over", len(s.ended))
		}
	})
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemory(dedup.Limits{})
		first := call("saveJob 1 A", "T")
		first.ID = s.NextID()
		s.Arrive(first)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := lead(ctx, s, call("saveJob 1 A", "U"), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		s.Finish(first.ID, kept("a"))
		d, err := lead(t.Context(), s, call("saveJob 1 A", "U"), nil)
		if err != nil || d.Verdict != dedup.Replay || d.Reason != dedup.Retry {
			t.Errorf("its retry: got %+v, %v", d, err)
		}
	})
}

func TestTheStoreForgetsAfterTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemory(dedup.Limits{})
		in := call("saveJob 1 A", "T")
		run := func() dedup.Verdict {
			d, err := lead(t.Context(), s, in, func() dedup.Outcome { return kept("a") })
			if err != nil {
				t.Fatal(err)
			}
			return d.Verdict
		}
		first, second := run(), run()
		time.Sleep(window)
		if third := run(); first != dedup.Lead || second != dedup.Replay || third != dedup.Lead {
			t.Errorf("got %s, %s and after the window %s", verdicts[first], verdicts[second], verdicts[third])
		}
	})
}

func TestTheStoreKnowsLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemory(dedup.Limits{})
		in := func(token string) dedup.Call { return call("runJob 1", token) }
		exec := func() dedup.Outcome { return kept("a") }
		login := func(token string) {
			time.Sleep(time.Millisecond)
			s.Issued(dedup.Issue{Group: "g", App: "1", Token: access.Fingerprint(token), Requested: s.Now("g"), Bare: true, Window: window})
		}
		login("T")
		s.Presented("g", access.Fingerprint("T"))
		for _, step := range []struct {
			token string
			want  dedup.Verdict
		}{{"T", dedup.Lead}, {"R", dedup.Replay}, {"R", dedup.Lead}} {
			if step.want == dedup.Replay {
				login("R")
			}
			if d, err := lead(t.Context(), s, in(step.token), exec); err != nil || d.Verdict != step.want {
				t.Errorf("with %s: got %+v, %v, want %s", step.token, d, err, verdicts[step.want])
			}
		}
	})
}

func BenchmarkForwarded(b *testing.B) {
	for name, what := range map[string]string{"body": "saveJob 1 A", "resend": "runJob 1"} {
		b.Run(name, func(b *testing.B) {
			s := NewMemory(dedup.Limits{Entries: 10_000})
			in := call(what, "T")
			b.ReportAllocs()
			for b.Loop() {
				binary.BigEndian.PutUint64(in.Key[:], uint64(s.lastID.Load())) // another call each time
				if d, err := lead(b.Context(), s, in, func() dedup.Outcome { return kept("a") }); err != nil || d.Verdict != dedup.Lead {
					b.Fatal(d, err)
				}
			}
		})
	}
}

func BenchmarkReplayed(b *testing.B) {
	s := NewMemory(dedup.Limits{Entries: 10_000})
	in := call("saveJob 1 A", "T")
	in.Window = time.Hour
	b.ReportAllocs()
	for b.Loop() {
		if _, err := lead(b.Context(), s, in, func() dedup.Outcome { return kept("a") }); err != nil {
			b.Fatal(err)
		}
	}
}
