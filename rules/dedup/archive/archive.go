// Package archive keeps many finished calls for some seconds, in little room and with
// next to no work for the garbage collector. The rules of deduplication know calls
// and marks, and nothing of slots, blocks and packing.
//
//	ok := calls.Put(c)             // c is over
//	calls.Marks(key, from, before) // the calls that a client may repeat
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

// Calls keeps calls that are over. It makes no difference to a call to be in it: it is
// recalled as it was put.
type Calls[F Facts, By comparable] interface {
	// Put keeps a call, and the things that it watches. It reports false, and keeps
	// nothing, if there is no place for it. A key has either calls with an
	// open mark that need not come back, or one call of any kind; Put also refuses a call
	// that must come back if another key shares its 32-bit prefix.
	Put(c Call[F, By]) bool
	// Marks yields the calls of a key whose mark was left at from or later and
	// before before, the latest first. Nothing may be put or recalled while it is in use.
	Marks(key Key, from, before ordered.Key) iter.Seq2[ordered.Key, Mark[F, By]]
	// Recall takes out the call of a key that must come back with it.
	Recall(key Key) (Call[F, By], bool)
	// RecallMark takes out the call whose mark Marks has yielded.
	RecallMark(key Key, mark ordered.Key) Call[F, By]
	// FirstEnd tells which call's window ends first; ordered.Last if there is no call.
	FirstEnd() ordered.Key
	// Expire takes out that call, without its answer.
	Expire() Call[F, By]
	// ForgetMarks changes what is known of all calls, so that none has a mark.
	ForgetMarks(forget func(*F))
	// Count returns how many calls of a key there are that Marks or Recall would find.
	Count(key Key) int
}

// Facts are what the rules note of a call.
type Facts interface {
	// Mark returns when the call left its mark, and whether it has one that is open.
	Mark() (at int64, open bool)
	// Returns reports whether the call must come back when its key does. Of any other
	// call only the mark matters.
	Returns() bool
}

// Call is a call that is over.
type Call[F Facts, By comparable] struct {
	Key     Key
	Arrival uint64 // no other call has it
	Ends    int64  // when its window does
	Facts   F
	By      By                      // its caller; equal ones are kept once
	Answer  *Answer                 // nil: none is kept
	Bytes   int64                   // what is charged for the answer; Put ignores it
	Watches [MaxWatches]guard.Watch // unused ones are zero
}

// MaxWatches is how many things a call that is kept may watch.
const MaxWatches = 2

// Mark is what is known of a call that has an open mark.
type Mark[F Facts, By comparable] struct {
	Facts F
	By    By
}
