package ordered

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestAListIsASortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l List[int]
		var want []Key
		of := map[Key]int{}
		some := rapid.Custom(func(t *rapid.T) Key {
			return Key{int64(rapid.IntRange(0, 40).Draw(t, "at")), uint64(rapid.IntRange(0, 30).Draw(t, "n"))}
		})
		add := func(key Key) {
			if _, has := of[key]; has {
				return
			}
			i, _ := slices.BinarySearchFunc(want, key, compare)
			want = slices.Insert(want, i, key)
			of[key] = len(of)
			l.Add(key, of[key])
		}
		remove := func(key Key) {
			want = slices.DeleteFunc(want, func(k Key) bool { return k == key })
			delete(of, key)
			l.Remove(key)
		}
		for n := range rapid.IntRange(0, 3*blockLen).Draw(t, "at first") {
			add(Key{int64(n / 10), uint64(n % 10)})
		}
		t.Repeat(map[string]func(*rapid.T){
			"add":    func(t *rapid.T) { add(some.Draw(t, "key")) },
			"remove": func(t *rapid.T) { remove(some.Draw(t, "key")) },
			"pop": func(t *rapid.T) {
				if len(want) == 0 {
					t.Skip("nothing to pop")
				}
				if n := l.Pop(); n != of[want[0]] {
					t.Fatalf("popped %v, want %v", n, of[want[0]])
				}
				remove(want[0])
			},
			"remove many": func(t *rapid.T) {
				for _, key := range slices.Clone(want)[:rapid.IntRange(0, len(want)).Draw(t, "so many")] {
					remove(key)
				}
			},
			"": func(t *rapid.T) {
				key := some.Draw(t, "key")
				i, has := slices.BinarySearchFunc(want, key, compare)
				n, ok := l.Get(key)
				if l.Len() != len(want) || ok != has || has && n != of[key] {
					t.Fatalf("%d things, want %d; at %v: %v, %v, want %v, %v", l.Len(), len(want), key, n, ok, of[key], has)
				}
				for k, n := range l.Backward(key) {
					if i--; k != want[i] || n != of[k] {
						t.Fatalf("got %v at %v, want %v at %v", n, k, of[want[i]], want[i])
					}
				}
				if i != 0 {
					t.Fatalf("%d things were left out", i)
				}
				if first := append(slices.Clone(want), Last)[0]; l.FirstKey() != first {
					t.Fatalf("the first is at %v, want %v", l.FirstKey(), first)
				}
			},
		})
	})
}

func compare(a, b Key) int {
	if a.Less(b) {
		return -1
	}
	if b.Less(a) {
		return 1
	}
	return 0
}

func TestALoopOverAListMayEndEarly(t *testing.T) {
	var l List[int]
	for n := range 3 * blockLen {
		l.Add(Key{N: uint64(n)}, n)
	}
	for _, n := range l.Backward(Key{N: blockLen}) {
		if n == blockLen-2 {
			break
		}
	}
}

func TestAListOfOneNeedsNoMemoryOfItsOwn(t *testing.T) {
	var l List[int]
	if n := testing.AllocsPerRun(100, func() {
		l.Add(Key{}, 1)
		l.Remove(Key{})
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
