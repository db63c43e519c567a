//go:build !race && linux

package socket

func writing() {}
func wasRead() {}
