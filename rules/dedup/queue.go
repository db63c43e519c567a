package dedup

// queue is a heap of what ends at some moment, the earliest first. The zero
// value is empty. It is container/heap's, less an allocation for each push.
type queue[T any] []due[T]

type due[T any] struct {
	at moment
	of T
}

func (q *queue[T]) push(at moment, of T) {
	d := due[T]{at, of}
	s := append(*q, d)
	i := len(s) - 1
	for i > 0 && s[(i-1)/2].at > at {
		s[i] = s[(i-1)/2]
		i = (i - 1) / 2
	}
	s[i] = d
	*q = s
}

// pop takes out the earliest. The queue must not be empty.
func (q *queue[T]) pop() due[T] {
	s := *q
	first, last := s[0], s[len(s)-1]
	clear(s[len(s)-1:])
	s = s[:len(s)-1]
	i := 0
	for {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if child+1 < len(s) && s[child+1].at < s[child].at {
			child++
		}
		if s[child].at >= last.at {
			break
		}
		s[i] = s[child]
		i = child
	}
	if i < len(s) {
		s[i] = last
	}
	*q = s
	return first
}

// ended reports whether the earliest has come at the moment now.
func (q queue[T]) ended(now moment) bool { return len(q) > 0 && q[0].at <= now }

// keep drops all but those that are to be kept.
func (q *queue[T]) keep(keep func(T) bool) {
	all := *q
	kept := all[:0]
	for _, d := range all {
		if keep(d.of) {
			kept.push(d.at, d.of)
		}
	}
	clear(all[len(kept):])
	*q = kept
}
