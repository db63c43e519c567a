package main

import "testing"

func TestTheLargerTheHeapTheSmallerTheShareOfGarbage(t *testing.T) {
	for live, want := range map[uint64]int{
		0: 100, 3 << 20: 100, 14 << 20: 100, 20 << 20: 70, 28 << 20: 50, 40 << 20: 35, 1 << 40: 30,
	} {
		if got := gcPercent(live); got != want {
			t.Errorf("%d MiB live: %d %%, want %d", live>>20, got, want)
		}
	}
}
