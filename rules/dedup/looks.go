package dedup

import (
	"iter"

	"powerjob-shim/internal/ordered"
)

// looks is how many candidates every search for a repetition looks at, the likeliest first. So
// a step's time does not grow with what is remembered; only adding and removing grow, with the
// logarithm. A repetition that the search does not reach is not noticed: the call is forwarded.
const looks = 64

// few yields the first of all, at most looks, and counts them in m.looked.
func few[T any](m *Machine, all iter.Seq2[ordered.Key, T]) iter.Seq2[ordered.Key, T] {
	return func(yield func(ordered.Key, T) bool) {
		left := looks
		for key, of := range all {
			m.looked++
			left--
			if !yield(key, of) || left == 0 {
				return
			}
		}
	}
}

// count returns how many of all satisfy match, at most most.
func count[T any](m *Machine, most int, all iter.Seq2[ordered.Key, T], match func(T) bool) (n int) {
	for _, of := range few(m, all) {
		if match(of) {
			n++
		}
		if n == most {
			break
		}
	}
	return n
}

// newest returns the last call of a list that satisfies match; nil if none does.
func (m *Machine) newest(calls *ordered.List[*call], match func(*call) bool) *call {
	for _, c := range few(m, calls.Backward(ordered.Last)) {
		if match(c) {
			return c
		}
	}
	return nil
}
