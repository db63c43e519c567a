package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/routing"
	"powerjob-shim/rules/openapi"
)

// memoryNet is a network in memory for tests in a synctest bubble: real
// sockets would keep its clock from going on.
type memoryNet struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener
	ports     uint16
}

func newMemoryNet() *memoryNet { return &memoryNet{listeners: map[string]*memoryListener{}} }

// serve serves h at addr until the test ends.
func (n *memoryNet) serve(t testing.TB, addr string, h http.Handler, base context.Context) { //nolint:revive // the end of all its conns, not of the call
	ln := &memoryListener{at: netip.MustParseAddrPort(addr), conns: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	n.listeners[addr] = ln
	n.mu.Unlock()
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return base }}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
}

// dialer returns the way into the network from one host.
func (n *memoryNet) dialer(host string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, addr string) (net.Conn, error) {
		n.mu.Lock()
		ln := n.listeners[addr]
		n.ports++
		at := netip.AddrPortFrom(netip.MustParseAddr(host), 10_000+n.ports)
		n.mu.Unlock()
		if ln == nil {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		near, far := net.Pipe()
		select {
		case ln.conns <- &memoryConn{far, ln.at, at}:
			return &memoryConn{near, at, ln.at}, nil
		case <-ln.closed:
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// dialBy has all connections to servers made by dial.
func dialBy(g *routing.Group, dial func(ctx context.Context, network, addr string) (net.Conn, error)) {
	g.Upstream.Connections.Connect = func(ctx context.Context, server string, wrap func(net.Conn) net.Conn) (net.Conn, error) {
		c, err := dial(ctx, "tcp", server)
		if err != nil {
			return nil, err
		}
		return wrap(c), nil
	}
}

type memoryConn struct {
	net.Conn
	local, remote netip.AddrPort
}

func (c *memoryConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *memoryConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

type memoryListener struct {
	at     netip.AddrPort
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }

// The hosts of the network.
const (
	serverHost  = "10.0.0.1"
	shimHost    = "10.0.0.2"
	serverAddr  = serverHost + ":7700"
	shimAddr    = shimHost + ":7700"
	shimAddress = shimHost + ":7701" // the same shim at another address
)

// bubble is a stand-in server behind a shim on a memoryNet, in virtual time.
type bubble struct {
	*memoryNet
	shim     *Proxy
	server   *legacy.Server
	registry *prometheus.Registry
}

// newBubble must be called in a bubble of testing/synctest.
func newBubble(t testing.TB, o legacy.Options, change func(*Settings)) *bubble {
	w := &bubble{memoryNet: newMemoryNet(), server: legacy.New(o), registry: prometheus.NewRegistry()}
	w.serve(t, serverAddr, w.server, context.Background())
	settings := dedupSettings(t, "http://"+serverAddr)
	up := settings.Upstreams["default"]
	up.Timeout = 30 * time.Second
	settings.Upstreams["default"] = up
	if change != nil {
		change(&settings)
	}
	var err error
	if w.shim, err = New(Options{Metrics: metrics.New(w.registry, openapi.Names())}, settings); err != nil {
		t.Fatal(err)
	}
	g := w.shim.snap.Load().Groups["default"]
	dialBy(g, w.dialer(shimHost))
	for _, addr := range []string{shimAddr, shimAddress} {
		w.serve(t, addr, w.shim, w.shim.life)
	}
	t.Cleanup(func() {
		w.shim.end(exchange.ErrStopping)
		g.Upstream.Connections.CloseIdle()
		_ = w.server.Close()
	})
	return w
}

// logIn makes a client object on a host of its own, with the real limit of 2 s
// for each call.
func (w *bubble) logIn(t testing.TB, host string, addresses ...string) *client.Client {
	t.Helper()
	transport := &client.SocketTransport{Dial: w.dialer(host)}
	t.Cleanup(transport.CloseIdle)
	c, err := client.New(client.Config{Addresses: addresses, AppName: "app1", Password: "pw", Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// slowOnce delays the answer to the first of a call.
func slowOnce(call string, d time.Duration) func(legacy.Request) legacy.Fault {
	var once sync.Once
	return func(r legacy.Request) (f legacy.Fault) {
		if r.Call == call {
			once.Do(func() { f.DelayAfter = d })
		}
		return f
	}
}

// The client gives up after 2 s and sends the call again with the same token,
// to the next of its addresses, or when its caller calls again.
func TestASlowServersAnswerIsThereForTheRetry(t *testing.T) {
	for _, c := range []struct {
		name      string
		call      string
		delay     time.Duration
		addresses []string
		threw     int // how often the caller had to call
	}{
		{"1.9 s", "runJob", 1900 * time.Millisecond, []string{shimAddr}, 0},
		{"2.1 s", "runJob", 2100 * time.Millisecond, []string{shimAddr}, 1},
		{"2.1 s, saveJob", "saveJob", 2100 * time.Millisecond, []string{shimAddr}, 1},
		{"2.1 s, two addresses", "runJob", 2100 * time.Millisecond, []string{shimAddr, shimAddress}, 0},
		{"9.5 s", "runJob", 9500 * time.Millisecond, []string{shimAddr}, 4},
		{"9.5 s, two addresses", "runJob", 9500 * time.Millisecond, []string{shimAddr, shimAddress}, 2},
		{"29 s, saveJob, two addresses", "saveJob", 29 * time.Second, []string{shimAddr, shimAddress}, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newBubble(t, legacy.Options{Fault: slowOnce(c.call, c.delay)}, nil)
				user := w.logIn(t, "10.0.1.1", c.addresses...)
				params := client.Params{"jobId": 1, "delay": 0}
				if c.call == "saveJob" {
					params = client.Params{"jobName": "b"}
				}
				begin := time.Now()
				if c.call != "saveJob" {
					must(t, user, "saveJob", client.Params{"jobName": "a"})
				}
				threw := 0
				for {
					r, err := user.Call(c.call, params)
					if err == nil {
						if !r.Success {
							t.Errorf("the call failed: %s", r.Message)
						}
						break
					}
					threw++
				}
				if threw != c.threw {
					t.Errorf("the call threw %d times, want %d", threw, c.threw)
				}
				if took := time.Since(begin); took < c.delay || took > c.delay+100*time.Millisecond {
					t.Errorf("the answer was there after %v, want %v", took, c.delay)
				}
				wantExecuted(t, w.server, c.call, 1)
				if c.call == "runJob" { // what has been answered is not given out again
					must(t, user, c.call, params)
					wantExecuted(t, w.server, c.call, 2)
				}
			})
		})
	}
}

func TestAServerThatNeverAnswersIsGivenUpAndTheNextCallIsForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 29 * time.Second
		w := newBubble(t, legacy.Options{Fault: slowOnce("runJob", 24*time.Hour)}, func(s *Settings) {
			up := s.Upstreams["default"]
			up.Timeout = timeout
			s.Upstreams["default"] = up
		})
		user := w.logIn(t, "10.0.1.1", shimAddr)
		must(t, user, "saveJob", client.Params{"jobName": "a"})
		begin := time.Now()
		for {
			_, err := user.Call("runJob", client.Params{"jobId": 1})
			var status *client.StatusError
			if errors.As(err, &status) {
				if status.Status != http.StatusGatewayTimeout {
					t.Errorf("the client got %d, want 504", status.Status)
				}
				break
			}
			if err == nil {
				t.Fatal("a call that was never answered succeeded")
			}
		}
		if took := time.Since(begin); took < timeout || took > timeout+10*time.Millisecond { // see replay.hangUpNotice
			t.Errorf("the server was given up after %v, want %v", took, timeout)
		}
		wantExecuted(t, w.server, "runJob", 1)
		must(t, user, "runJob", client.Params{"jobId": 1})
		wantExecuted(t, w.server, "runJob", 2)
		synctest.Wait()
		if n := w.shim.store.Stats().InFlight; n != 0 {
			t.Errorf("%d calls are still in flight", n)
		}
	})
}

// Past the window an equal save is a new one, and nothing is held any longer.
func TestTheWindowEndsAndTheRecordIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newBubble(t, legacy.Options{}, nil)
		user := w.logIn(t, "10.0.1.1", shimAddr)
		must(t, user, "saveJob", client.Params{"jobName": "a"})
		time.Sleep(dedupWindow - 10*time.Millisecond)
		must(t, user, "saveJob", client.Params{"jobName": "a"})
		wantExecuted(t, w.server, "saveJob", 1)
		time.Sleep(20 * time.Millisecond)
		must(t, user, "saveJob", client.Params{"jobName": "a"})
		wantExecuted(t, w.server, "saveJob", 2)
		time.Sleep(2 * dedupWindow)
		must(t, user, "fetchAllJob", nil) // entries end with the next event
		if n := w.shim.store.Stats().Entries; n > 2 {
			t.Errorf("%d entries are left, want the read and its token", n)
		}
	})
}
