package archive

import (
	"cmp"
	"iter"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/guard"
	"powerjob-shim/rules/openapi"
)

// noted are the facts of a call in tests.
type noted struct {
	at      int64
	open    bool
	returns bool
}

func (n noted) Mark() (int64, bool) { return n.at, n.open }
func (n noted) Returns() bool       { return n.returns }

type kept = Call[noted, string]

// plain is Calls without any packing.
type plain struct{ all map[uint64]kept }

var _ Calls[noted, string] = plain{}

func (p plain) listed(key Key) (of []kept) {
	for _, c := range p.all {
		if c.Key == key && (c.Facts.open || c.Facts.returns) {
			of = append(of, c)
		}
	}
	slices.SortFunc(of, func(a, b kept) int { return cmp.Compare(b.Arrival, a.Arrival) })
	return of
}

func (p plain) Put(c kept) bool {
	if of := p.listed(c.Key); len(of) > 0 && (c.Facts.returns || of[0].Facts.returns) {
		return false
	}
	if c.Answer != nil {
		c.Bytes = c.Answer.Bytes()
	}
	p.all[c.Arrival] = c
	return true
}

func (p plain) Marks(key Key, from, before ordered.Key) iter.Seq2[ordered.Key, Mark[noted, string]] {
	return func(yield func(ordered.Key, Mark[noted, string]) bool) {
		for _, c := range p.listed(key) {
			at := ordered.Key{At: c.Facts.at, N: c.Arrival}
			if c.Facts.open && at.Less(before) && !at.Less(from) && !yield(at, Mark[noted, string]{c.Facts, c.By}) {
				return
			}
		}
	}
}

func (p plain) Recall(key Key) (kept, bool) {
	for _, c := range p.listed(key) {
		if c.Facts.returns {
			return p.take(c), true
		}
	}
	return kept{}, false
}

func (p plain) RecallMark(_ Key, mark ordered.Key) kept { return p.take(p.all[mark.N]) }

func (p plain) take(c kept) kept {
	delete(p.all, c.Arrival)
	return c
}

func (p plain) first() (first kept, ok bool) {
	for _, c := range p.all {
		if !ok || (ordered.Key{At: c.Ends, N: c.Arrival}).Less(ordered.Key{At: first.Ends, N: first.Arrival}) {
			first, ok = c, true
		}
	}
	return first, ok
}

func (p plain) FirstEnd() ordered.Key {
	if c, ok := p.first(); ok {
		return ordered.Key{At: c.Ends, N: c.Arrival}
	}
	return ordered.Last
}

func (p plain) Expire() kept {
	c, _ := p.first()
	c.Answer = nil
	return p.take(c)
}

func (p plain) ForgetMarks(forget func(*noted)) {
	for n, c := range p.all {
		forget(&c.Facts)
		p.all[n] = c
	}
}

func (p plain) Count(key Key) int { return len(p.listed(key)) }

// pair is the packed make and the plain one, which go the same way.
type pair struct {
	packed *Packed[noted, string]
	plain  plain
	things *guard.Things
	n      uint64
	watch  []guard.Watch
}

func (p *pair) key(t *rapid.T) Key {
	// The third key has the first one's beginning.
	return Key{0: byte(rapid.IntRange(0, 1).Draw(t, "key")), 31: byte(rapid.IntRange(0, 1).Draw(t, "end of the key"))}
}

func (p *pair) put(t *rapid.T) {
	p.n++
	c := kept{
		Key: p.key(t), Arrival: p.n, Ends: rapid.Int64Range(0, 100).Draw(t, "end"), By: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "caller"),
		Facts: noted{at: int64(p.n), open: true, returns: rapid.Bool().Draw(t, "returns")},
	}
	if c.Facts.returns {
		c.Facts.open = rapid.Bool().Draw(t, "open")
		c.Answer = &Answer{Status: 200, Header: "h", Auth: "true", Body: rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "body")}
	}
	for i := range rapid.IntRange(0, MaxWatches).Draw(t, "watches") {
		c.Watches[i] = rapid.SampledFrom(p.watch).Draw(t, "watch")
	}
	if got, want := p.packed.Put(c), p.plain.Put(c); got && !want {
		t.Fatal("a call was kept for which there is no place")
	} else if want && !got { // another key that begins alike is in the way
		p.plain.take(c)
	}
}

func (p *pair) recall(t *rapid.T) {
	key := p.key(t)
	got, ok := p.packed.Recall(key)
	want, wanted := p.plain.Recall(key)
	if ok != wanted || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v, want %+v, %v", got, ok, want, wanted)
	}
}

func (p *pair) recallMark(t *rapid.T) {
	key := p.key(t)
	marks := slices.SortedFunc(maps.Keys(maps.Collect(p.plain.Marks(key, ordered.Key{}, ordered.Last))), func(a, b ordered.Key) int { return cmp.Compare(a.N, b.N) })
	if len(marks) == 0 {
		t.Skip("there is no mark")
	}
	mark := rapid.SampledFrom(marks).Draw(t, "mark")
	if got, want := p.packed.RecallMark(key, mark), p.plain.RecallMark(key, mark); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func (p *pair) expire(t *rapid.T) {
	if len(p.plain.all) == 0 {
		t.Skip("there is no call")
	}
	if got, want := p.packed.Expire(), p.plain.Expire(); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func (p *pair) forgetMarks(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "rarely") > 0 {
		t.Skip("not often, or there are no marks at all")
	}
	forget := func(n *noted) { n.open = false }
	p.packed.ForgetMarks(forget)
	p.plain.ForgetMarks(forget)
}

func (p *pair) check(t *rapid.T) {
	for i := range 4 {
		key := Key{0: byte(i & 1), 31: byte(i >> 1)}
		if got, want := p.packed.Count(key), p.plain.Count(key); got != want {
			t.Fatalf("a key has %d calls, want %d", got, want)
		}
		from := ordered.Key{At: int64(p.n / 3)}
		for _, before := range []ordered.Key{ordered.Last, {At: int64(p.n / 2)}} {
			var got, want []any
			for at, m := range p.packed.Marks(key, from, before) {
				got = append(got, at, m)
			}
			for at, m := range p.plain.Marks(key, from, before) {
				want = append(want, at, m)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got the marks %v, want %v", got, want)
			}
		}
	}
	if got, want := p.packed.FirstEnd(), p.plain.FirstEnd(); got != want {
		t.Fatalf("the first end is %v, want %v", got, want)
	}
	if len(p.plain.all) == 0 && p.packed.Len() != 0 {
		t.Fatalf("%d parts are left over", p.packed.Len())
	}
}

// Whatever comes and goes, packing makes no difference.
func TestPackedCallsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &pair{plain: plain{map[uint64]kept{}}, things: &guard.Things{}}
		p.packed = NewPacked[noted, string](p.things)
		var change guard.Change
		p.things.Watch(&change, "g", openapi.Subjects{Known: []openapi.Subject{{ID: 3}, {ID: 4}, {ID: 5}}})
		p.watch = change.Watches
		t.Repeat(map[string]func(*rapid.T){
			"put": p.put, "put another": p.put, "recall": p.recall, "recall a mark": p.recallMark, "expire": p.expire,
			"forget marks": p.forgetMarks, "": p.check,
		})
	})
}
