package dedup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// lead is what proxy does with a call: it is forwarded by exec, waits, or is
// answered.
func lead(ctx context.Context, s *Memory, in Call, exec func() Outcome) (Ruling, error) {
	in.ID = s.NextID()
	d := s.Arrive(in)
	defer s.Delivered(in.ID)
	if d.Verdict == Wait {
		var err error
		if d, err = s.Await(ctx, in.ID); err != nil {
			s.Leave(in.ID)
			return d, err
		}
	}
	if d.Verdict == Lead {
		s.Finish(in.ID, exec())
	}
	return d, nil
}

func TestOfManyEqualCallsOneIsForwarded(t *testing.T) {
	s := NewMemory(Limits{})
	const callers = 200
	var (
		forwarded, replayed atomic.Int32
		all                 sync.WaitGroup
		first               = make(chan struct{})
	)
	in := describe(t, "saveJob new A", "T")
	for range callers {
		all.Go(func() {
			d, err := lead(t.Context(), s, in, func() Outcome {
				forwarded.Add(1)
				<-first // until all but a few have come
				return kept("7", job(7))
			})
			if err != nil {
				t.Error(err)
			}
			if d.Verdict == Replay && string(d.Answer.Body) == "7" {
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
	s := NewMemory(Limits{})
	const callers, each = 20, 500
	var (
		forwarded atomic.Int32
		all       sync.WaitGroup
	)
	for caller := range callers {
		all.Go(func() {
			for i := range each {
				in := describe(t, fmt.Sprintf("saveJob new %d", caller*each+i), "T")
				if _, err := lead(t.Context(), s, in, func() Outcome { forwarded.Add(1); return kept("x") }); err != nil {
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
		s := NewMemory(Limits{})
		first := describe(t, "saveJob 1 A", "T")
		first.ID = s.NextID()
		s.Arrive(first)
		var got [3]Ruling
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() {
				got[i], _ = lead(t.Context(), s, describe(t, "saveJob 1 A", "U"), nil)
			})
		}
		synctest.Wait()
		s.Finish(first.ID, kept("a"))
		all.Wait()
		for i, d := range got {
			if d.Verdict != Replay || !d.Waited || string(d.Answer.Body) != "a" {
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
		s := NewMemory(Limits{})
		first := describe(t, "saveJob 1 A", "T")
		first.ID = s.NextID()
		s.Arrive(first)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := lead(ctx, s, describe(t, "saveJob 1 A", "U"), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		s.Finish(first.ID, kept("a"))
		d, err := lead(t.Context(), s, describe(t, "saveJob 1 A", "U"), nil)
		if err != nil || d.Verdict != Replay || d.Reason != Retry {
			t.Errorf("its retry: got %+v, %v", d, err)
		}
	})
}

func TestTheStoreForgetsAfterTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemory(Limits{})
		in := describe(t, "saveJob 1 A", "T")
		run := func() Verdict {
			d, err := lead(t.Context(), s, in, func() Outcome { return kept("a") })
			if err != nil {
				t.Fatal(err)
			}
			return d.Verdict
		}
		first, second := run(), run()
		time.Sleep(window)
		if third := run(); first != Lead || second != Replay || third != Lead {
			t.Errorf("got %s, %s and after the window %s", verdicts[first], verdicts[second], verdicts[third])
		}
	})
}

func TestTheStoreKnowsLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemory(Limits{})
		in := func(token string) Call { return describe(t, "runJob 1", token) }
		exec := func() Outcome { return kept("a") }
		login := func(token string) {
			time.Sleep(time.Millisecond)
			s.Issued(Issue{Group: "g", App: appID, Token: Fingerprint(token), Requested: s.Now("g"), Bare: true, Window: window})
		}
		login("T")
		s.Presented("g", Fingerprint("T"))
		for _, step := range []struct {
			token string
			want  Verdict
		}{{"T", Lead}, {"R", Replay}, {"R", Lead}} {
			if step.want == Replay {
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
			s := NewMemory(Limits{Entries: 10_000})
			in := describe(b, what, "T")
			b.ReportAllocs()
			for b.Loop() {
				binary.BigEndian.PutUint64(in.Key[:], uint64(s.lastID.Load())) // another call each time
				if d, err := lead(b.Context(), s, in, func() Outcome { return kept("a") }); err != nil || d.Verdict != Lead {
					b.Fatal(d, err)
				}
			}
		})
	}
}

func BenchmarkReplayed(b *testing.B) {
	s := NewMemory(Limits{Entries: 10_000})
	in := describe(b, "saveJob 1 A", "T")
	in.Window = time.Hour
	b.ReportAllocs()
	for b.Loop() {
		if _, err := lead(b.Context(), s, in, func() Outcome { return kept("a") }); err != nil {
			b.Fatal(err)
		}
	}
}
