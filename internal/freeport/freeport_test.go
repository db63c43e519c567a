package freeport

import "testing"

func TestNoPortIsTakenTwice(t *testing.T) {
	seen := map[int]bool{}
	for range 500 {
		port, err := Take(10000)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []int{port, port + 10000} {
			if seen[p] {
				t.Fatalf("%d was taken before", p)
			}
			if seen[p] = true; p < 10000 || p >= 32000 {
				t.Fatalf("%d may be given to a connection", p)
			}
		}
	}
}
