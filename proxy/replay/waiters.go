package replay

import (
	"sync"

	"powerjob-shim/rules/dedup"
)

// waiters counts who waits for which leader. The zero value is ready to use.
type waiters struct {
	mu sync.Mutex
	of map[dedup.ID]int // guarded by mu
}

func (w *waiters) add(leader dedup.ID, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[dedup.ID]int{}
	}
	if w.of[leader] += n; w.of[leader] <= 0 {
		delete(w.of, leader)
	}
}

func (w *waiters) any(leader dedup.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.of[leader] > 0
}
