// Package freeport finds free ports on loopback, for tests of programs that must be
// given a port before they listen.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

var (
	mu    sync.Mutex
	taken = map[int]bool{} // guarded by mu
)

// Take returns a port that nothing listens on at the moment. For each number in also,
// the port that many above it is free, too. None of these ports is returned again in
// this process. They are below those that Linux gives to outgoing connections and to
// listeners on any free port, so that none of these takes them first. That holds for
// numbers up to 10,000 in also.
func Take(also ...int) (int, error) {
	mu.Lock()
	defer mu.Unlock()
	for range 1000 {
		ports := []int{10000 + rand.IntN(12000)} //nolint:gosec // not a secret
		for _, above := range also {
			ports = append(ports, ports[0]+above)
		}
		if !free(ports) {
			continue
		}
		for _, p := range ports {
			taken[p] = true
		}
		return ports[0], nil
	}
	return 0, errors.New("no port is free")
}

func free(ports []int) bool {
	for _, p := range ports {
		if taken[p] {
			return false
		}
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err != nil {
			return false
		}
		_ = ln.Close() // this was only a test whether the port is free
	}
	return true
}
