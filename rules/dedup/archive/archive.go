// Package archive keeps finished calls for some seconds, many of them, so that they take
// little room and the garbage collector has next to nothing to do with them. The rules
// of deduplication know calls and marks, and nothing of slots, blocks and packing.
//
//	ok := calls.Put(c)             // c is over
//	calls.Marks(key, from, before) // what its client may repeat
//	c, ok = calls.Recall(key)      // its key has come once more
//	c = calls.Expire()             // its window is over
//
// Nothing in it is safe for concurrent use.
package archive

import (
	"iter"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/guard"
)

// Key identifies equal calls.
type Key = [32]byte

// Calls keeps calls that are over. It does not matter to anybody whether a call is in
// it: what is put and recalled is what it was.
type Calls[F Facts, By comparable] interface {
	// Put keeps a call, and the things that it watches. It reports false, and keeps
	// nothing, where there is no place for it. Of a key there are either calls with an
	// open mark that need not come back, or one call of any kind; it also refuses a call
	// that must come back where another key shares the 32-bit prefix.
	Put(c Call[F, By]) bool
	// Marks yields the calls of a key whose mark was left from one moment on and
	// before another, the latest first. It must not be in use when something is put
	// or recalled.
	Marks(key Key, from, before ordered.Key) iter.Seq2[ordered.Key, Mark[F, By]]
	// Recall takes out the call of a key that must come back with it.
	Recall(key Key) (Call[F, By], bool)
	// RecallMark takes out the call whose mark Marks has yielded.
	RecallMark(key Key, mark ordered.Key) Call[F, By]
	// FirstEnd tells whose window ends first; ordered.Last where there is no call.
	FirstEnd() ordered.Key
	// Expire takes out that call. Its answer is not recalled.
	Expire() Call[F, By]
	// ForgetMarks changes what is known of all calls, so that none has a mark.
	ForgetMarks(forget func(*F))
	// Count returns how many calls of a key there are that Marks or Recall would find.
	Count(key Key) int
}

// Facts are what the rules note of a call.
type Facts interface {
	// Mark returns when the call left its mark; false where it has none that is open.
	Mark() (at int64, open bool)
	// Returns reports whether the call must come back when its key does. Of others
	// the mark is all that matters.
	Returns() bool
}

// Call is a call that is over.
type Call[F Facts, By comparable] struct {
	Key     Key
	Arrival uint64 // no other call has it
	Ends    int64  // when its window does
	Facts   F
	By      By                      // whose call it was: equal ones are kept once
	Answer  *Answer                 // nil: none is kept
	Bytes   int64                   // what the answer is counted for
	Watches [MaxWatches]guard.Watch // those of its first things; the others are zero
}

// MaxWatches is how many things a call that is kept may watch.
const MaxWatches = 2

// Mark is what is known of a call that has an open mark.
type Mark[F Facts, By comparable] struct {
	Facts F
	By    By
}

// markKey is where a call's mark is among others.
func (c *Call[F, By]) markKey() ordered.Key {
	at, _ := c.Facts.Mark()
	return ordered.Key{At: at, N: c.Arrival}
}
