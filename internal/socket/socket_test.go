package socket

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// pair returns both ends of a connection: a Conn, and a TCPConn that is not wrapped.
func pair(t *testing.T) (*Conn, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return New(near.(*net.TCPConn)), far.(*net.TCPConn)
}

// What is sent arrives, in both directions at once, however it is cut.
func TestEveryByteArrives(t *testing.T) {
	near, far := pair(t)
	sent := make([]byte, 8<<20)
	for i := range sent {
		sent[i] = byte(i * 7 >> 3)
	}
	go func() {
		_, _ = io.Copy(far, far)
		_ = far.CloseWrite()
	}()
	go func() {
		rnd := rand.New(rand.NewPCG(1, 2))
		for left := sent; len(left) > 0; {
			n := min(rnd.IntN(300_000), len(left))
			if m, err := near.Write(left[:n]); m != n || err != nil {
				t.Errorf("Write of %d bytes returned %d, %v", n, m, err)
			}
			left = left[n:]
		}
		_ = near.CloseWrite()
	}()
	if got, err := io.ReadAll(iotest.HalfReader(near)); !bytes.Equal(got, sent) || err != nil {
		t.Errorf("%d bytes came back of %d, or others; %v", len(got), len(sent), err)
	}
}

// A Conn ends as its TCPConn would, with the same errors.
func TestItEndsAsATCPConnDoes(t *testing.T) {
	far := map[string]func(near net.Conn, far *net.TCPConn) (int, error){
		"closed by the peer": func(near net.Conn, far *net.TCPConn) (int, error) {
			_ = far.Close()
			return near.Read(make([]byte, 9))
		},
		"reset by the peer": func(near net.Conn, far *net.TCPConn) (int, error) {
			_, _ = far.SetLinger(0), far.Close()
			return near.Read(make([]byte, 9))
		},
		"written to after a reset": func(near net.Conn, far *net.TCPConn) (int, error) {
			_, _ = far.SetLinger(0), far.Close()
			for {
				if n, err := near.Write([]byte("x")); err != nil && !errors.Is(err, syscall.ECONNRESET) {
					return n, err
				}
			}
		},
		"read after Close": func(near net.Conn, _ *net.TCPConn) (int, error) {
			_ = near.Close()
			return near.Read(make([]byte, 9))
		},
		"written to after Close": func(near net.Conn, _ *net.TCPConn) (int, error) {
			_ = near.Close()
			return near.Write([]byte("x"))
		},
		"closed while it is read": func(near net.Conn, _ *net.TCPConn) (int, error) {
			time.AfterFunc(10*time.Millisecond, func() { _ = near.Close() })
			return near.Read(make([]byte, 9))
		},
		"a read that is late": func(near net.Conn, _ *net.TCPConn) (int, error) {
			_ = near.SetReadDeadline(time.Now().Add(time.Millisecond))
			return near.Read(make([]byte, 9))
		},
		"a read of nothing":  func(near net.Conn, _ *net.TCPConn) (int, error) { return near.Read(nil) },
		"a write of nothing": func(near net.Conn, _ *net.TCPConn) (int, error) { return near.Write(nil) },
	}
	for name, do := range far {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := pair(t)
			n, err := do(near, far)
			other, otherFar := pair(t)
			wantN, want := do(other.TCPConn, otherFar)
			if n != wantN || without(err, near) != without(want, other) {
				t.Errorf("got %d, %v, want as from a TCPConn %d, %v", n, err, wantN, want)
			}
		})
	}
}

// without is an error's text without the addresses, which differ.
func without(err error, c *Conn) string {
	if err == nil {
		return ""
	}
	return strings.NewReplacer(c.LocalAddr().String(), "near", c.RemoteAddr().String(), "far").Replace(err.Error())
}

// A write that the peer takes a part of returns how much, and can go on there.
func TestAWriteThatIsLateSaysHowFarItCame(t *testing.T) {
	near, far := pair(t)
	sent := make([]byte, 32<<20)
	_ = near.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := near.Write(sent)
	if n <= 0 || n >= len(sent) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Write returned %d, %v", n, err)
	}
	_ = near.SetWriteDeadline(time.Time{})
	go func() {
		_, _ = near.Write(sent[n:])
		_ = near.CloseWrite()
	}()
	if got, err := io.Copy(io.Discard, far); got != int64(len(sent)) || err != nil {
		t.Errorf("%d bytes arrived of %d, %v", got, len(sent), err)
	}
}

func TestNoCallAllocates(t *testing.T) {
	near, far := pair(t)
	buf := make([]byte, 8)
	if n := testing.AllocsPerRun(100, func() {
		_, _ = near.Write(buf)
		_, _ = io.ReadFull(far, buf)
		_, _ = far.Write(buf)
		_, _ = io.ReadFull(near, buf)
	}); n != 0 {
		t.Errorf("%v allocations for a write and a read", n)
	}
}
