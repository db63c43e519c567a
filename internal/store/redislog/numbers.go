package redislog

// seenBack is how far back numbers knows each single number. A replica sends
// late only events that it still holds, which reach less far back.
const seenBack = 4096

// numbers has the numbers of a replica's events that were applied, so that no event is
// applied twice. The zero value is empty.
type numbers struct {
	max  uint64
	bits [seenBack / 64]uint64 // of the last seenBack numbers, each at n % seenBack
}

// add notes n and reports whether it is new. A number too far back counts as applied.
func (s *numbers) add(n uint64) bool {
	if n > s.max {
		if n-s.max >= seenBack {
			clear(s.bits[:])
		} else {
			for i := s.max + 1; i < n; i++ {
				s.bits[i%seenBack/64] &^= 1 << (i % 64)
			}
		}
		s.max = n
		s.bits[n%seenBack/64] |= 1 << (n % 64)
		return true
	}
	word, bit := &s.bits[n%seenBack/64], uint64(1)<<(n%64)
	if s.max-n >= seenBack || *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
