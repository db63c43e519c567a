package conversation

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"powerjob-shim/internal/testca"
)

// patience bounds what should happen at once; no test that passes waits for it.
const patience = 30 * time.Second

// many is how often a seeded test runs: what UPSTREAM_RUNS says, else a few.
func many(t *testing.T, few int) int {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv("UPSTREAM_RUNS")); err == nil {
		return n
	}
	return few
}

// fault is what a server does to the next call.
type fault struct {
	kind  string // ok, refuse, hang up, cut, silence, close idle
	after int    // of cut: bytes of the request, below TLS
	reset bool   // in place of a FIN
}

// faulty is a server that is called by one call after the other.
type faulty struct {
	addr     string
	tls      *tls.Config // nil: plain
	next     atomic.Pointer[fault]
	ended    atomic.Int64 // connections
	received atomic.Int64 // bytes after the handshake, since the last call began
	executed atomic.Int64 // whole requests
}

func newFaulty(t *testing.T, secure *tls.Config) *faulty {
	t.Helper()
	f := &faulty{tls: secure}
	f.addr = serving(t, func(c net.Conn) {
		f.serve(c.(*net.TCPConn))
		f.ended.Add(1)
	})
	return f
}

func (f *faulty) serve(tcp *net.TCPConn) {
	defer func() {
		if f.next.Load().reset {
			_ = tcp.SetLinger(0)
		}
		_ = tcp.Close()
	}()
	if f.next.Load().kind == "hang up" {
		return
	}
	metered := &meteredConn{TCPConn: tcp, f: f}
	c := net.Conn(metered)
	if f.tls != nil {
		secure := tls.Server(metered, f.tls)
		if secure.Handshake() != nil {
			return
		}
		c = secure
	}
	metered.counts = true
	var got []byte
	for buf := make([]byte, 512); ; {
		n, err := c.Read(buf)
		if got = append(got, buf[:n]...); err != nil {
			return
		}
		if !strings.HasSuffix(string(got), "\r\n\r\nping") {
			continue
		}
		got = got[:0]
		f.executed.Add(1)
		if f.next.Load().kind == "silence" {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		if f.next.Load().kind == "close idle" {
			return
		}
	}
}

// meteredConn counts what comes, and breaks off where the fault says.
type meteredConn struct {
	*net.TCPConn
	f      *faulty
	counts bool // the handshake is over
}

func (c *meteredConn) Read(p []byte) (int, error) {
	if !c.counts {
		return c.TCPConn.Read(p)
	}
	if next := c.f.next.Load(); next.kind == "cut" {
		left := next.after - int(c.f.received.Load())
		if left <= 0 {
			return 0, io.EOF
		}
		p = p[:min(len(p), left)]
	}
	n, err := c.TCPConn.Read(p)
	c.f.received.Add(int64(n))
	if next := c.f.next.Load(); next.kind == "cut" && int(c.f.received.Load()) >= next.after {
		return n, io.EOF // tls.Conn reads on otherwise
	}
	return n, err
}

// Whatever fails, and wherever: that nothing was sent is said only where the
// server got nothing, and that something may have been sent only where it may.
func TestWhetherAByteWasSentIsKnown(t *testing.T) {
	ca := testca.New(t)
	cert, key := ca.Leaf(t, "powerjob.test")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, server := range map[string]*tls.Config{
		"plain":   nil,
		"TLS 1.2": {Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12},
		"TLS 1.3": {Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var client *tls.Config
			if server != nil {
				client = &tls.Config{RootCAs: ca.Pool(), ServerName: "powerjob.test", MinVersion: tls.VersionTLS12}
			}
			for kind, send := range map[string]func(*Pool, *http.Request) (*http.Response, error){
				"call":   func(p *Pool, r *http.Request) (*http.Response, error) { return p.Send(Call{Request: r}) },
				"stream": func(p *Pool, r *http.Request) (*http.Response, error) { return p.Stream(Stream{Request: r}) },
			} {
				t.Run(kind, func(t *testing.T) { testFaults(t, server, client, many(t, 100), send) })
			}
		})
	}
}

func testFaults(t *testing.T, server, client *tls.Config, runs int, send func(*Pool, *http.Request) (*http.Response, error)) {
	t.Helper()
	f := newFaulty(t, server)
	var dials int64
	refusing := false
	pool := &Pool{
		Connect: func(ctx context.Context, server string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
			if refusing {
				return nil, errors.New("refused")
			}
			c, err := direct(ctx, server, wrap)
			if err != nil {
				return nil, err
			}
			dials++
			if client == nil {
				return c, nil
			}
			secure := tls.Client(c, client)
			if err := secure.HandshakeContext(ctx); err != nil {
				_ = c.Close()
				return nil, err
			}
			return secure, nil
		},
	}
	defer pool.CloseIdle()
	scheme, notice := "http", int64(0)
	if client != nil {
		scheme, notice = "https", 31 // a close_notify is no request
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for i := range runs {
		next := &fault{kind: []string{"ok", "ok", "refuse", "hang up", "cut", "cut", "cut", "silence", "close idle"}[rnd.IntN(9)], after: rnd.IntN(150), reset: rnd.IntN(2) == 0}
		f.next.Store(next)
		f.received.Store(0)
		f.executed.Store(0)
		refusing = next.kind == "refuse"
		kept := pool.Idle() > 0
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, scheme+"://"+f.addr+"/"+strconv.Itoa(i), strings.NewReader("ping"))
		res, err := send(pool, r)
		if err == nil {
			_, _ = io.ReadAll(res.Body)
			if n := f.executed.Load(); n != 1 {
				t.Fatalf("run %d, %+v: answered, and executed %d times", i, next, n)
			}
			seen["answered"]++
			continue
		}
		// Until the server has read what there was.
		pool.CloseIdle()
		for end := time.Now().Add(patience); f.ended.Load() < dials; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("run %d, %+v: connections are left", i, next)
			}
		}
		failed := new(Error)
		if !errors.As(err, &failed) {
			t.Fatalf("run %d: the error is %T", i, err)
		}
		received, executed := f.received.Load(), f.executed.Load()
		seen[fmt.Sprintf("sent %v", failed.Sent)]++
		switch {
		case !failed.Sent && (executed > 0 || received > notice):
			t.Fatalf("run %d, %+v: nothing was sent, it says (%v), and the server got %d bytes and executed %d", i, next, err, received, executed)
		case failed.Sent && next.kind == "refuse" && !kept:
			t.Fatalf("run %d, %+v: a byte may have been sent, it says (%v), and there was no connection", i, next, err)
		case executed > 1:
			t.Fatalf("run %d, %+v: executed %d times", i, next, executed)
		}
	}
	if seen["answered"] == 0 || seen["sent true"] == 0 || seen["sent false"] == 0 {
		t.Errorf("not everything happened: %v", seen)
	}
}

// crossing answers with what was asked for, in ways that tempt one to take it for
// another's answer.
func crossing(c net.Conn) {
	var got []byte
	rnd := rand.New(rand.NewPCG(uint64(c.RemoteAddr().(*net.TCPAddr).Port), 1))
	for buf := make([]byte, 4096); ; {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		got = append(got, buf[:n]...)
		for {
			head, rest, whole := strings.Cut(string(got), "\r\n\r\n")
			if !whole || len(rest) < 4 {
				break
			}
			id := strings.Fields(head)[1]
			got = []byte(rest[4:])
			answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(id), id)
			switch rnd.IntN(20) {
			case 0: // twice
				answer += answer
			case 1: // in two pieces
				half := rnd.IntN(len(answer))
				_, _ = io.WriteString(c, answer[:half])
				runtime.Gosched()
				answer = answer[half:]
			case 2: // and ends
				_, _ = io.WriteString(c, answer)
				return
			case 3: // and more than it said
				answer += "x"
			case 4: // in chunks, the last one for itself
				answer = fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(id), id)
				_, _ = io.WriteString(c, answer)
				runtime.Gosched()
				answer = "0\r\n\r\n"
			}
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
		}
	}
}

func TestNoAnswerReachesAnotherCaller(t *testing.T) {
	addr := serving(t, crossing)
	const callers = 64
	var answered, suspected atomic.Int64
	pool := &Pool{Connect: direct, Suspect: func(string) { suspected.Add(1) }}
	defer pool.CloseIdle()
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := range many(t, 20_000) / callers {
				id := fmt.Sprintf("/%d-%d", caller, i)
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+id, strings.NewReader("ping"))
				res, err := pool.RoundTrip(r)
				if err != nil {
					continue
				}
				body, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err == nil && string(body) != id {
					t.Errorf("%s got the answer %q", id, body)
					return
				}
				answered.Add(1)
			}
		})
	}
	all.Wait()
	if answered.Load() == 0 || suspected.Load() == 0 {
		t.Errorf("%d answered, %d suspected: not everything happened", answered.Load(), suspected.Load())
	}
	t.Logf("%d answered, %d times unasked bytes", answered.Load(), suspected.Load())
}
