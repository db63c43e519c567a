//go:build !race

package socket

func writing() {}
func wasRead() {}
