package collector

import (
	"runtime"
	"testing"
)

func TestTheLargerTheHeapTheSmallerTheShareOfGarbage(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 1000, 2 << 20: 1000, 8 << 20: 400, 20 << 20: 100, 28 << 20: 50, 40 << 20: 35, 1 << 40: 30,
	} {
		if got := gcPercent(live); got != want {
			t.Errorf("%d MiB live: %d %%, want %d", live>>20, got, want)
		}
	}
}

func TestEveryCollectionIsTold(t *testing.T) {
	collected := make(chan struct{}, 1)
	notifyCollections(t.Context(), collected)
	for range 3 {
		runtime.GC()
		<-collected // finalizers run soon after a collection
	}
}
