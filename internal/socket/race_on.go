//go:build race

package socket

import "sync/atomic"

// order tells the race detector, as package syscall does, that what happened before
// a write happened before a read that follows it.
var order atomic.Int64

func writing() { order.Add(1) }
func wasRead() { order.Load() }
