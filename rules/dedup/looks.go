package dedup

import (
	"iter"
	"math"

	"powerjob-shim/internal/ordered"
)

// looks bounds every search for a repetition: so many candidates are looked at,
// the likeliest first. A step takes no longer the more is remembered; only adding
// and removing take longer, with the logarithm. What a search does not reach makes
// no repetition: the call is forwarded.
const looks = 64

// few yields the first of what all yields, and counts them.
func few[T any](m *Machine, all iter.Seq2[ordered.Key, T]) iter.Seq2[ordered.Key, T] {
	return func(yield func(ordered.Key, T) bool) {
		left := looks
		for key, of := range all {
			m.looked++
			if !yield(key, of) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

// before is the key in front of everything from a moment on.
func before(t moment) ordered.Key { return ordered.Key{At: int64(t)} }

// end is the key behind everything.
var end = ordered.Key{At: math.MaxInt64, N: math.MaxUint64}
