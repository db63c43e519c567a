// Package freeport finds ports on loopback for tests whose programs must be told one
// beforehand.
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

// Take returns a port that nothing listens on at the moment, and so for the ports that
// are as far above it as also says. None of them is returned again in this process.
// They are below those that Linux gives to connections and to listeners on any port, one
// of which could else come first; also must not lead beyond that, 10,000 at most.
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
		_ = ln.Close() // it was only asked for
	}
	return true
}
