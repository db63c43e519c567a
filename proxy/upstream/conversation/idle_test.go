package conversation

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"powerjob-shim/proxy/upstream/connect"
)

// listenAt listens on a port at several loopback addresses.
func listenAt(t *testing.T, hosts ...string) (port string) {
	t.Helper()
	port = "0"
	open := make(chan net.Conn, 100)
	for _, host := range hosts {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Skip("this system has not all of 127.0.0.0/8: ", err)
		}
		t.Cleanup(func() { ln.Close() })
		_, port, _ = net.SplitHostPort(ln.Addr().String())
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				open <- c // nobody closes it
			}
		}()
	}
	return port
}

func TestOnlyConnectionsToAddressesThatTheNameHasLeftAreRetired(t *testing.T) {
	port := listenAt(t, "127.0.0.1", "127.0.0.2")
	var at atomic.Pointer[[]netip.Addr] // empty: the name cannot be looked up
	name := func(addresses ...string) {
		named := []netip.Addr{}
		for _, a := range addresses {
			named = append(named, netip.MustParseAddr(a))
		}
		at.Store(&named)
	}
	name("127.0.0.1")
	s := connect.NewServer("a:"+port, nil, &connect.Dialer{Lookup: func(context.Context, string) ([]netip.Addr, error) {
		named := *at.Load()
		if len(named) == 0 {
			return nil, &net.DNSError{Err: "no such host", Name: "a", IsNotFound: true}
		}
		return named, nil
	}})
	pool := &Pool{Connect: func(ctx context.Context, _ string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
		return s.DialOver(ctx, wrap)
	}}
	t.Cleanup(pool.CloseIdle)
	var told [][]netip.Addr
	s.Moved = func(named []netip.Addr) {
		told = append(told, named)
		pool.Retire("a:"+port, named)
	}
	keep := func() {
		t.Helper()
		c, err := pool.open(t.Context(), "a:"+port)
		if err != nil {
			t.Fatal(err)
		}
		pool.put(c)
	}
	keep()
	name()
	if err := s.LookUp(t.Context()); err == nil || pool.Idle() != 1 {
		t.Errorf("after a lookup that failed (%v): %d are kept", err, pool.Idle())
	}
	name("127.0.0.1", "127.0.0.2")
	if err := s.LookUp(t.Context()); err != nil || pool.Idle() != 1 {
		t.Errorf("after a lookup that names it, too (%v): %d are kept", err, pool.Idle())
	}
	name("127.0.0.2")
	keep()
	if pool.Idle() != 1 {
		t.Errorf("after it moved, and another connection: %d are kept", pool.Idle())
	}
	if want := "[[127.0.0.1] [127.0.0.1 127.0.0.2] [127.0.0.2]]"; fmt.Sprint(told) != want {
		t.Errorf("told %v, want %s", told, want)
	}
}

// Idle returns how many connections are kept unused.
func (p *Pool) Idle() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, list := range p.idle {
		n += len(list)
	}
	return n
}
