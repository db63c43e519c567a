// Package ordered keeps things in order, so that adding, finding and removing
// one takes about as long among many as among few. Nothing in it is safe for
// concurrent use.
package ordered

import (
	"iter"
	"math"
	"slices"
	"sort"
)

// Key is the place of an item in a List: by At, and among equals by N. No two
// things in a List may have equal keys.
type Key struct {
	At int64
	N  uint64
}

// Less reports whether k comes before another key.
func (k Key) Less(than Key) bool { return k.At < than.At || k.At == than.At && k.N < than.N }

// Last is the key behind all others. Nothing may have it.
var Last = Key{At: math.MaxInt64, N: math.MaxUint64}

// List is a list in the order of its keys. It consists of blocks of a bounded
// size, so that a step moves at most one block and, now and then, the list
// of blocks. The zero value is empty. A List must not be copied.
type List[T any] struct {
	blocks [][]item[T] // none is empty
	len    int

	// Most lists have one item, for which these save allocations.
	firstBlock [1][]item[T]
	firstItem  [1]item[T]
}

type item[T any] struct {
	key Key
	of  T
}

const (
	blockLen = 128
	few      = 8 // see without
)

// Len returns how many things are in the list.
func (l *List[T]) Len() int { return l.len }

// Add puts in a thing.
func (l *List[T]) Add(key Key, of T) {
	l.len++
	added := item[T]{key, of}
	if len(l.blocks) == 0 {
		l.firstBlock[0] = append(l.firstItem[:0], added)
		l.blocks = l.firstBlock[:]
		return
	}
	b := min(l.blockOf(key), len(l.blocks)-1)
	if len(l.blocks[b]) == blockLen {
		b = l.split(b, key)
	}
	block := l.blocks[b]
	l.blocks[b] = slices.Insert(block, place(block, key), added)
}

// split makes room in the full block b, and returns the block that key belongs in.
func (l *List[T]) split(b int, key Key) int {
	block := l.blocks[b]
	if b == len(l.blocks)-1 && block[blockLen-1].key.Less(key) { // mostly the newest is added
		l.blocks = append(l.blocks, make([]item[T], 0, blockLen))
		return b + 1
	}
	right := append(make([]item[T], 0, blockLen), block[blockLen/2:]...)
	clear(block[blockLen/2:])
	l.blocks[b] = block[:blockLen/2]
	l.blocks = slices.Insert(l.blocks, b+1, right)
	if key.Less(right[0].key) {
		return b
	}
	return b + 1
}

// Remove takes out the thing with a key, if there is one.
func (l *List[T]) Remove(key Key) {
	b, i, ok := l.find(key)
	if !ok {
		return
	}
	l.len--
	if l.blocks[b] = without(l.blocks[b], i); len(l.blocks[b]) > 0 {
		return
	}
	if b > 0 {
		l.blocks = slices.Delete(l.blocks, b, b+1)
		return
	}
	l.blocks[0] = nil // mostly the oldest is removed
	l.blocks = l.blocks[1:]
}

// without returns a block without its i-th thing. It moves the things on the shorter
// side, so none if the oldest goes. In a short block it moves those behind, which
// keeps the block's capacity.
func without[T any](block []item[T], i int) []item[T] {
	if i >= len(block)/2 || len(block) <= few {
		return slices.Delete(block, i, i+1)
	}
	copy(block[1:i+1], block[:i])
	block[0] = item[T]{}
	return block[1:]
}

// FirstKey returns the key of the first thing; Last if the list is empty.
func (l *List[T]) FirstKey() Key {
	if l.len == 0 {
		return Last
	}
	return l.blocks[0][0].key
}

// First returns the first thing. The list must not be empty.
func (l *List[T]) First() T { return l.blocks[0][0].of }

// Pop takes out the first thing. The list must not be empty.
func (l *List[T]) Pop() T {
	first := l.blocks[0][0]
	l.Remove(first.key)
	return first.of
}

// Get returns the thing with a key, and whether there is one.
func (l *List[T]) Get(key Key) (of T, ok bool) {
	b, i, ok := l.find(key)
	if ok {
		of = l.blocks[b][i].of
	}
	return of, ok
}

// find returns the place of a key in block b, and whether something has that key.
func (l *List[T]) find(key Key) (b, i int, ok bool) {
	if b = l.blockOf(key); b == len(l.blocks) {
		return b, 0, false
	}
	i = place(l.blocks[b], key)
	return b, i, i < len(l.blocks[b]) && l.blocks[b][i].key == key
}

// Backward yields the things before a key, the last one first.
func (l *List[T]) Backward(before Key) iter.Seq2[Key, T] {
	return func(yield func(Key, T) bool) {
		b, i, _ := l.find(before)
		for {
			for i--; i >= 0; i-- {
				if it := &l.blocks[b][i]; !yield(it.key, it.of) {
					return
				}
			}
			if b--; b < 0 {
				return
			}
			i = len(l.blocks[b])
		}
	}
}

// blockOf returns the first block that ends at key or behind it; len(l.blocks) if none does.
func (l *List[T]) blockOf(key Key) int {
	endsBefore := func(b int) bool { return l.blocks[b][len(l.blocks[b])-1].key.Less(key) }
	switch n := len(l.blocks); { // mostly it is one of the oldest or of the newest
	case n == 0 || !endsBefore(0):
		return 0
	case endsBefore(n - 1):
		return n
	}
	return sort.Search(len(l.blocks), func(b int) bool { return !endsBefore(b) })
}

// place returns the index of key in a block, or where it would be.
func place[T any](block []item[T], key Key) int {
	switch n := len(block); { // mostly it is the oldest or behind the newest
	case n == 0 || !block[0].key.Less(key):
		return 0
	case block[n-1].key.Less(key):
		return n
	}
	return sort.Search(len(block), func(i int) bool { return !block[i].key.Less(key) })
}
