// Package tcpfaults is for tests of what goes wrong on connections: a way to a server
// that can be made to fail while the server stays as it is, and servers that do on a
// connection whatever a test says.
package tcpfaults

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy in front of a server. It passes everything on until it is
// told otherwise.
type Proxy struct {
	Addr string
	to   string

	mu      sync.Mutex
	delay   time.Duration // before each piece of an answer
	silent  bool          // answers are swallowed, the connection stays: half-open
	garbage bool          // answers are other bytes
	loseOne bool          // the next answer is swallowed and the connection cut
	refuse  bool          // connections are closed as they come
	conns   map[net.Conn]bool
}

// New starts a proxy in front of the server at an address.
func New(t testing.TB, to string) *Proxy {
	t.Helper()
	f := &Proxy{to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(f.Cut) // once no more connections come
	f.Addr = Serve(t, f.serve)
	return f
}

// Serve starts a server, and returns its address. It does serve with each connection,
// on a goroutine of its own, which has to close it. None is accepted any more when the
// test ends.
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

// Delay holds every answer back.
func (f *Proxy) Delay(d time.Duration) { f.set(func() { f.delay = d }) }

// Silent swallows answers, as a half-open connection does.
func (f *Proxy) Silent(on bool) { f.set(func() { f.silent = on }) }

// Garbage answers each time with a refusal in HTTP, whatever the server speaks.
func (f *Proxy) Garbage(on bool) { f.set(func() { f.garbage = on }) }

// Refuse closes connections, present and new ones.
func (f *Proxy) Refuse(on bool) {
	f.set(func() { f.refuse = on })
	if on {
		f.Cut()
	}
}

// LoseOne swallows the next answer to what has been executed, and cuts its
// connection.
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
