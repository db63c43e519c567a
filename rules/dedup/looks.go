package dedup

import (
	"iter"

	"powerjob-shim/internal/ordered"
)

// looks bounds every search for a repetition: so many candidates are looked at, the likeliest
// first. A step takes no longer the more is remembered; only adding and removing take longer,
// with the logarithm. What a search does not reach makes no repetition: the call is forwarded.
const looks = 64

// few yields the first of what all yields, and counts them.
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
