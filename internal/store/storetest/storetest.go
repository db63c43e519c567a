// Package storetest is the conformance suite of store.Store: what holds in one
// process holds across replicas.
package storetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"powerjob-shim/internal/store"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/openapi"
)

// patience bounds what should happen soon on a busy machine.
const patience = 10 * time.Second

// window is that of all calls here: longer than any test takes.
const window = time.Minute

// Run runs the suite. open returns n stores that act as one: those of n replicas, or n
// times the same one. Each test opens new stores, which know nothing.
func Run(t *testing.T, open func(t *testing.T, n int) []store.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, a, b store.Store)
	}{
		{"A re-send is replayed on the other replica", resend},
		{"One answer pays for one re-send only", oneResend},
		{"A constructor's token is no evidence", constructor},
		{"A second deliberate call passes", deliberate},
		{"Equal bodies wait on the other replica", coalesce},
		{"Equal bodies are replayed on the other replica", plain},
		{"Another change in between makes an equal body a new call", guard},
		{"A retry on the other replica waits for the first answer", retry},
		{"A call that was not sent fails those who wait", notSent},
		{"A refused call lets those who wait go on their own", denied},
		{"A caller that cannot be answered gives the evidence back", giveBack},
		{"Groups are apart", groups},
		{"Addresses tell clients apart", addresses},
		{"An answer comes as it went", answers},
		{"Two hundred at once are one", manyAtOnce},
		{"Awaiting ends with its context", awaitEnds},
	} {
		t.Run(c.name, func(t *testing.T) {
			stores := open(t, 2)
			c.test(t, stores[0], stores[1])
		})
	}
}

// Key returns a key; equal texts have equal keys.
func Key(text string) dedup.Key { return sha256.Sum256([]byte(text)) }

// Call is a runJob of job 1: match resend.
func Call(s store.Store, body, token string) dedup.Call {
	return dedup.Call{
		ID: s.NextID(), Group: "default", Key: Key(body), App: "1", Token: access.Fingerprint(token),
		Subjects: openapi.Subjects{Known: []openapi.Subject{{Kind: openapi.Job, ID: 1}}},
		Window:   window, Lease: time.Minute, Dedup: true,
	}
}

// Save is a Call of match body.
func Save(s store.Store, body, token string) dedup.Call {
	c := Call(s, body, token)
	c.Body = true
	return c
}

// JSONHeader is the header of an answer.
var JSONHeader = archive.PackHeader(map[string][]string{"Content-Type": {"application/json"}, "Vary": {"Origin", "Accept"}}, func(string) bool { return true })

// Success is an answer that is kept.
func Success(data string) dedup.Outcome {
	return dedup.Outcome{Kind: dedup.Kept, Status: 200, Answer: &dedup.Answer{
		Status: 200, Header: JSONHeader, Body: fmt.Appendf(nil, `{"success":true,"data":%s}`, data),
	}}
}

// LogIn issues a token as for a client's refresh: the login carried no token.
func LogIn(s store.Store, token string) {
	s.Issued(dedup.Issue{Group: "default", App: "1", Token: access.Fingerprint(token), Requested: s.Now("default"), Bare: true, Window: window})
}

// Do takes a call through a store as a leader and returns its ID.
func Do(t *testing.T, s store.Store, c dedup.Call, out dedup.Outcome) {
	t.Helper()
	Want(t, s.Arrive(c), dedup.Lead, "")
	s.Finish(c.ID, out)
	s.Delivered(c.ID)
}

// Verdicts are words for the verdicts, by their numbers.
var Verdicts = [...]string{"lead", "wait", "replay", "pass", "fail", "refuse"}

// Want compares a decision; data is what a replayed answer must have.
func Want(t *testing.T, got dedup.Ruling, want dedup.Verdict, data string) {
	t.Helper()
	if got.Verdict != want {
		t.Fatalf("%s %s, want %s", Verdicts[got.Verdict], got.Reason, Verdicts[want])
	}
	if data != "" {
		if want := `{"success":true,"data":` + data + `}`; got.Answer == nil || string(got.Answer.Body) != want {
			t.Errorf("answer %+v, want the body %s", got.Answer, want)
		}
	}
}

func await(t *testing.T, s store.Store, id dedup.ID) dedup.Ruling {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := s.Await(ctx, id)
	if err != nil {
		t.Fatalf("awaiting: %v", err)
	}
	return d
}

func resend(t *testing.T, a, b store.Store) {
	LogIn(a, "T")
	a.Presented("default", access.Fingerprint("T"))
	Do(t, a, Call(a, "run", "T"), Success("1"))
	LogIn(b, "R")
	again := Call(b, "run", "R")
	d := b.Arrive(again)
	Want(t, d, dedup.Replay, "1")
	if d.Reason != dedup.Resend || !d.Refreshed {
		t.Errorf("reason %q, refreshed %v", d.Reason, d.Refreshed)
	}
	b.Delivered(again.ID)
}

func oneResend(t *testing.T, a, b store.Store) {
	Do(t, a, Call(a, "run", "T"), Success("1"))
	LogIn(b, "R")
	first, second := Call(b, "run", "R"), Call(a, "run", "R")
	Want(t, b.Arrive(first), dedup.Replay, "1")
	Want(t, a.Arrive(second), dedup.Lead, "")
}

func constructor(t *testing.T, a, b store.Store) {
	Do(t, a, Call(a, "run", "T"), Success("1"))
	LogIn(a, "T2")
	b.Presented("default", access.Fingerprint("T2"))
	LogIn(b, "other") // so that the log has what was presented
	Want(t, a.Arrive(Call(a, "run", "T2")), dedup.Lead, "")
}

func deliberate(t *testing.T, a, b store.Store) {
	Do(t, a, Call(a, "run", "T"), Success("1"))
	Do(t, b, Call(b, "run", "T"), Success("2"))
	x, y := Call(a, "other", "T"), Call(b, "other", "T")
	Want(t, a.Arrive(x), dedup.Lead, "")
	Want(t, b.Arrive(y), dedup.Lead, "")
}

func coalesce(t *testing.T, a, b store.Store) {
	first, second := Save(a, "save", "T"), Save(b, "save", "U")
	Want(t, a.Arrive(first), dedup.Lead, "")
	Want(t, b.Arrive(second), dedup.Wait, "")
	soon, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ctx := &awaited{Context: soon, waits: make(chan struct{})}
	got := make(chan dedup.Ruling, 1)
	go func() {
		d, err := b.Await(ctx, second.ID)
		if err != nil {
			t.Errorf("awaiting: %v", err)
		}
		got <- d
	}()
	select {
	case <-ctx.waits:
	case <-got:
		t.Fatal("it does not wait")
	}
	b.Now("default") // a replica has the whole log then, and found no answer in it
	a.Finish(first.ID, Success("7"))
	d := <-got
	Want(t, d, dedup.Replay, "7")
	if !d.Waited {
		t.Error("the answer does not say that it was waited for")
	}
	b.Delivered(second.ID)
	a.Delivered(first.ID)
}

// awaited is a context that tells when somebody waits for its end.
type awaited struct {
	context.Context
	waits chan struct{}
	once  sync.Once
}

func (c *awaited) Done() <-chan struct{} {
	c.once.Do(func() { close(c.waits) })
	return c.Context.Done()
}

func plain(t *testing.T, a, b store.Store) {
	Do(t, a, Save(a, "save", "T"), Success("7"))
	again := Save(b, "save", "U")
	Want(t, b.Arrive(again), dedup.Replay, "7")
	b.Delivered(again.ID)
}

func guard(t *testing.T, a, b store.Store) {
	Do(t, a, Save(a, "save A", "T"), Success("1"))
	Do(t, b, Save(b, "save B", "T"), Success("1"))
	Do(t, a, Save(a, "save A", "T"), Success("1"))
	Do(t, b, Save(b, "save B", "T"), Success("1"))
}

func retry(t *testing.T, a, b store.Store) {
	first := Call(a, "run", "T")
	Want(t, a.Arrive(first), dedup.Lead, "")
	a.Leave(first.ID)
	a.Now("default") // the log has it
	again := Call(b, "run", "T")
	d := b.Arrive(again)
	Want(t, d, dedup.Wait, "")
	if d.Reason != dedup.Retry {
		t.Errorf("reason %q", d.Reason)
	}
	a.Finish(first.ID, Success("3"))
	a.Delivered(first.ID)
	Want(t, await(t, b, again.ID), dedup.Replay, "3")
	b.Delivered(again.ID)
	Want(t, a.Arrive(Call(a, "run", "T")), dedup.Lead, "") // a new call
}

func notSent(t *testing.T, a, b store.Store) {
	first, second := Save(a, "save", "T"), Save(b, "save", "T")
	Want(t, a.Arrive(first), dedup.Lead, "")
	Want(t, b.Arrive(second), dedup.Wait, "")
	a.Finish(first.ID, dedup.Outcome{Kind: dedup.NotSent})
	d := await(t, b, second.ID)
	Want(t, d, dedup.Fail, "")
	if d.Outcome != dedup.NotSent {
		t.Errorf("outcome %d", d.Outcome)
	}
}

func denied(t *testing.T, a, b store.Store) {
	first, second := Save(a, "save", "T"), Save(b, "save", "T")
	Want(t, a.Arrive(first), dedup.Lead, "")
	Want(t, b.Arrive(second), dedup.Wait, "")
	a.Finish(first.ID, dedup.Outcome{Kind: dedup.Denied, Status: 200})
	Want(t, await(t, b, second.ID), dedup.Lead, "")
	b.Finish(second.ID, Success("1"))
	b.Delivered(second.ID)
}

func giveBack(t *testing.T, a, b store.Store) {
	Do(t, a, Call(a, "run", "T"), Success("1"))
	LogIn(b, "R")
	first := Call(b, "run", "R")
	Want(t, b.Arrive(first), dedup.Replay, "1")
	b.Leave(first.ID)
	b.Delivered(first.ID)
	b.Now("default")
	Want(t, a.Arrive(Call(a, "run", "R")), dedup.Replay, "1")
}

func groups(t *testing.T, a, b store.Store) {
	Do(t, a, Save(a, "save", "T"), Success("1"))
	other := Save(b, "save in another group", "T")
	other.Group = "other"
	Do(t, b, other, Success("2"))
	Want(t, a.Arrive(Save(a, "save", "T")), dedup.Replay, "1")
}

func addresses(t *testing.T, a, b store.Store) {
	with := func(c dedup.Call, last byte) dedup.Call {
		c.Addr = netip.AddrFrom4([4]byte{10, 0, 0, last})
		return c
	}
	Do(t, a, with(Call(a, "run", "T"), 1), Success("1"))
	a.Issued(dedup.Issue{Group: "default", App: "1", Token: access.Fingerprint("R"), Addr: netip.AddrFrom4([4]byte{10, 0, 0, 2}),
		Requested: a.Now("default"), Bare: true, Window: window})
	Want(t, b.Arrive(with(Call(b, "run", "R"), 2)), dedup.Lead, "")
	b.Issued(dedup.Issue{Group: "default", App: "1", Token: access.Fingerprint("S"), Addr: netip.AddrFrom4([4]byte{10, 0, 0, 1}),
		Requested: b.Now("default"), Bare: true, Window: window})
	Want(t, b.Arrive(with(Call(b, "run", "S"), 1)), dedup.Replay, "1")
}

func answers(t *testing.T, a, b store.Store) {
	for i, size := range []int{0, 1, 255, 256, 10_000, 256 << 10} {
		body := make([]byte, size)
		for j := range body {
			body[j] = byte(j * j >> 8) // compresses somewhat
		}
		out := dedup.Outcome{Kind: dedup.Kept, Status: 200, Answer: &dedup.Answer{
			Status: 200, Header: JSONHeader, Auth: "true", Body: body,
		}}
		text := fmt.Sprint("save ", i)
		Do(t, a, Save(a, text, "T"), out)
		d := b.Arrive(Save(b, text, "T"))
		Want(t, d, dedup.Replay, "")
		if got, want := d.Answer, out.Answer; got.Status != want.Status || got.Header != want.Header ||
			got.Auth != want.Auth || string(got.Body) != string(want.Body) {
			t.Errorf("an answer of %d bytes came as another", size)
		}
	}
}

func manyAtOnce(t *testing.T, a, b store.Store) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		leads int
	)
	for i := range 200 {
		s := []store.Store{a, b}[i%2]
		wg.Go(func() {
			c := Save(s, "save", "T")
			d := s.Arrive(c)
			defer s.Delivered(c.ID)
			if d.Verdict == dedup.Wait {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				var err error
				if d, err = s.Await(ctx, c.ID); err != nil {
					t.Errorf("awaiting: %v", err)
					return
				}
			}
			switch d.Verdict {
			case dedup.Lead:
				mu.Lock()
				leads++
				mu.Unlock()
				time.Sleep(5 * time.Millisecond) // the upstream
				s.Finish(c.ID, Success("1"))
			case dedup.Replay:
			default:
				t.Errorf("%s", Verdicts[d.Verdict])
			}
		})
	}
	wg.Wait()
	if leads != 1 {
		t.Errorf("%d were forwarded, want 1", leads)
	}
}

func awaitEnds(t *testing.T, a, b store.Store) {
	first, second := Save(a, "save", "T"), Save(b, "save", "T")
	Want(t, a.Arrive(first), dedup.Lead, "")
	Want(t, b.Arrive(second), dedup.Wait, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Await(ctx, second.ID); err == nil {
		t.Error("awaiting goes on after its context")
	}
	b.Leave(second.ID)
	b.Delivered(second.ID)
	a.Finish(first.ID, Success("1"))
	a.Delivered(first.ID)
}
