//go:build race && linux

package socket

import "syscall"

// nothing is /dev/null, which is always at its end; room is the buffer for reading
// it, and stays empty.
var (
	nothing, _ = syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	room       [1]byte
)

// writing and wasRead tell the race detector that everything before a write, here or in
// package syscall, happened before a read that follows it. They have package syscall
// tell it, which does so with a variable of its own, before any write and after a read
// without an error.
func writing() { _, _ = syscall.Write(-1, nil) }

func wasRead() { _, _ = syscall.Read(nothing, room[:]) }
