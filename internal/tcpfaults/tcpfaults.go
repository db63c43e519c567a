// Package tcpfaults makes faults on connections for tests: a proxy in front of a
// server, which can be made to fail while the server goes on, and servers that do on
// a connection whatever a test wants.
package tcpfaults

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy in front of a server. It passes everything on until one of its
// methods makes it fail. Safe for concurrent use.
type Proxy struct {
	Addr string
	to   string

	mu      sync.Mutex
	delay   time.Duration     // before each piece of an answer
	silent  bool              // answers are swallowed, the connection stays: half-open
	garbage bool              // answers are other bytes
	loseOne bool              // the next answer is swallowed and the connection cut
	refuse  bool              // new connections are closed at once
	conns   map[net.Conn]bool // both sides of the open ones
}

// New starts a proxy in front of the server at an address.
func New(t testing.TB, to string) *Proxy {
	t.Helper()
	f := &Proxy{to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(f.Cut) // it runs when Serve's own cleanup has closed the listener
	f.Addr = Serve(t, f.serve)
	return f
}

// Serve starts a server and returns its address. It calls serve with each connection,
// on a goroutine of its own; serve must close the connection. When the test ends, no
// more connections are accepted.
func Serve(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return ln.Addr().String()
}

// Delay delays every piece of an answer.
func (f *Proxy) Delay(d time.Duration) { f.set(func() { f.delay = d }) }

// Silent drops answers, as on a half-open connection.
func (f *Proxy) Silent(on bool) { f.set(func() { f.silent = on }) }

// Garbage replaces answers by a refusal in HTTP, whatever the server speaks.
func (f *Proxy) Garbage(on bool) { f.set(func() { f.garbage = on }) }

// Refuse closes all connections, those to come as well.
func (f *Proxy) Refuse(on bool) {
	f.set(func() { f.refuse = on })
	if on {
		f.Cut()
	}
}

// LoseOne drops the next answer, whose request the server has executed, and closes
// its connection.
func (f *Proxy) LoseOne() { f.set(func() { f.loseOne = true }) }

// Cut closes all connections.
func (f *Proxy) Cut() {
	f.set(func() {
		for c := range f.conns {
			_ = c.Close() // its copying goroutines end
		}
	})
}

func (f *Proxy) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *Proxy) serve(from net.Conn) {
	defer func() { _ = from.Close() }()
	to, err := net.Dial("tcp", f.to)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	refused := false
	f.set(func() {
		if refused = f.refuse; !refused {
			f.conns[from], f.conns[to] = true, true
		}
	})
	if refused {
		return
	}
	defer f.set(func() {
		delete(f.conns, from)
		delete(f.conns, to)
	})
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := to.Read(buf)
		if err != nil {
			return
		}
		var delay time.Duration
		var silent, garbage, lose bool
		f.set(func() {
			delay, silent, garbage, lose = f.delay, f.silent, f.garbage, f.loseOne
			f.loseOne = false
		})
		time.Sleep(delay)
		switch {
		case lose:
			return
		case silent:
			continue
		case garbage:
			_, err = from.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		default:
			_, err = from.Write(buf[:n])
		}
		if err != nil {
			return
		}
	}
}
