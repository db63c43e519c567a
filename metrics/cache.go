package metrics

import "sync"

// cache keeps the series that requests add to, so that most requests need not ask
// the vectors for them, which hash and check each label. The zero value is
// empty; it grows no larger than the vectors do. Safe for concurrent use.
type cache[K comparable, S any] struct {
	mu     sync.RWMutex
	series map[K]S // guarded by mu
}

// of returns the series of labels; find finds it the first time.
func (c *cache[K, S]) of(labels K, find func(K) S) S {
	c.mu.RLock()
	s, ok := c.series[labels]
	c.mu.RUnlock()
	if ok {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.series == nil {
		c.series = map[K]S{}
	}
	s = find(labels)
	c.series[labels] = s
	return s
}
