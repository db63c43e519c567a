package connect

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// network is names and addresses as a test says. Safe for concurrent use.
type network struct {
	mu    sync.Mutex
	names map[string]func(ctx context.Context) ([]netip.Addr, error)
	hosts map[string]func(ctx context.Context) error // by ip:port; nil: a connection

	lookups int
	tried   []string
	conns   []net.Conn // near ends that were handed out
}

func (n *network) dialer() *Dialer { return &Dialer{Lookup: n.lookup, Connect: n.connect} }

func (n *network) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	n.lookups++
	answer := n.names[host]
	n.mu.Unlock()
	if answer == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return answer(ctx)
}

func (n *network) connect(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.tried = append(n.tried, address)
	answer, ok := n.hosts[address]
	n.mu.Unlock()
	if !ok {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	if answer != nil {
		if err := answer(ctx); err != nil {
			return nil, err
		}
	}
	near, far := net.Pipe()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns = append(n.conns, near)
	go func() { _, _ = far.Read(make([]byte, 1)); _ = far.Close() }()
	return &to{near, address}, nil
}

// to is a connection that knows where it goes.
type to struct {
	net.Conn
	address string
}

// name changes what a name means.
func (n *network) name(host string, answer func(context.Context) ([]netip.Addr, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[host] = answer
}

// silent drops packets.
func silent(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func are(addresses ...string) func(context.Context) ([]netip.Addr, error) {
	all := make([]netip.Addr, len(addresses))
	for i, a := range addresses {
		all[i] = netip.MustParseAddr(a)
	}
	return func(context.Context) ([]netip.Addr, error) { return all, nil }
}

// connects dials and returns where the connection goes, and how long it took.
func connects(t *testing.T, d *Dialer, address string) (string, time.Duration, error) {
	t.Helper()
	began := time.Now()
	c, err := d.DialContext(t.Context(), "tcp", address)
	took := time.Since(began)
	if err != nil {
		return "", took, err
	}
	_ = c.Close()
	return c.(*to).address, took, nil
}

func TestTheNextAddressIsTriedAfterAQuarterOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			names: map[string]func(context.Context) ([]netip.Addr, error){"a": are("10.0.0.1", "10.0.0.2")},
			hosts: map[string]func(context.Context) error{"10.0.0.1:80": silent, "10.0.0.2:80": nil},
		}
		d := n.dialer()
		if got, took, err := connects(t, d, "a:80"); err != nil || got != "10.0.0.2:80" || took != attemptDelay {
			t.Errorf("first: %s after %s, %v", got, took, err)
		}
		// What was slow comes last for a while.
		if got, took, err := connects(t, d, "a:80"); err != nil || got != "10.0.0.2:80" || took != 0 {
			t.Errorf("then: %s after %s, %v", got, took, err)
		}
		time.Sleep(slowFor + time.Second)
		n.tried = nil
		if _, _, err := connects(t, d, "a:80"); err != nil || n.tried[0] != "10.0.0.1:80" {
			t.Errorf("later it is tried in its place: %v, %v", n.tried, err)
		}
	})
}

// Redis has 200 ms, and a name may have many addresses.
func TestEachAddressGetsItsTurnInTheTimeThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			names: map[string]func(context.Context) ([]netip.Addr, error){"a": are("10.0.0.1", "10.0.0.2", "10.0.0.3")},
			hosts: map[string]func(context.Context) error{"10.0.0.1:80": silent, "10.0.0.2:80": silent, "10.0.0.3:80": nil},
		}
		d := n.dialer()
		for range 2 { // the second time the lookup does not answer
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			c, err := d.DialContext(ctx, "tcp", "a:80")
			if err != nil || c.(*to).address != "10.0.0.3:80" {
				t.Fatal(err)
			}
			_ = c.Close()
			cancel()
			n.name("a", func(ctx context.Context) ([]netip.Addr, error) { return nil, silent(ctx) })
			time.Sleep(slowFor + time.Second)
		}
	})
}

func TestAnAddressThatRefusesIsFollowedByTheNextAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			names: map[string]func(context.Context) ([]netip.Addr, error){"a": are("10.0.0.1", "10.0.0.3", "10.0.0.2")},
			hosts: map[string]func(context.Context) error{"10.0.0.2:80": nil},
		}
		if got, took, err := connects(t, n.dialer(), "a:80"); err != nil || got != "10.0.0.2:80" || took != 0 {
			t.Errorf("%s after %s, %v", got, took, err)
		}
	})
}

func TestFamiliesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{names: map[string]func(context.Context) ([]netip.Addr, error){
			"a": are("2001:db8::1", "2001:db8::2", "10.0.0.1", "::ffff:10.0.0.2"),
		}}
		_, _, err := connects(t, n.dialer(), "a:80")
		want := []string{"[2001:db8::1]:80", "10.0.0.1:80", "[2001:db8::2]:80", "10.0.0.2:80"}
		if !slices.Equal(n.tried, want) {
			t.Errorf("tried %v, want %v", n.tried, want)
		}
		for _, a := range want {
			if !strings.Contains(err.Error(), a+": connection refused") {
				t.Errorf("%s is missing in: %v", a, err)
			}
		}
	})
}

func TestConnectingEndsBeforeAClientDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			names: map[string]func(context.Context) ([]netip.Addr, error){"a": are("10.0.0.1", "10.0.0.2")},
			hosts: map[string]func(context.Context) error{"10.0.0.1:80": silent},
		}
		_, took, err := connects(t, n.dialer(), "a:80")
		if took != Timeout {
			t.Errorf("took %s", took)
		}
		want := "connecting to a:80: 10.0.0.2:80: connection refused; 10.0.0.1:80: connecting timed out"
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Error("the error hides what happened")
		}
	})
}

func TestWhoGivesUpIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{hosts: map[string]func(context.Context) error{"10.0.0.1:80": silent}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		cancel()
		if _, err := n.dialer().DialContext(ctx, "tcp", "10.0.0.1:80"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestTheLastGoodAddressesAreUsedWhileALookupFails(t *testing.T) {
	for name, fails := range map[string]func(context.Context) ([]netip.Addr, error){
		"no such host":    nil,
		"an empty answer": func(context.Context) ([]netip.Addr, error) { return nil, nil },
		"SERVFAIL": func(context.Context) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
		},
		"no answer": func(ctx context.Context) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{
					names: map[string]func(context.Context) ([]netip.Addr, error){"a": are("10.0.0.1")},
					hosts: map[string]func(context.Context) error{"10.0.0.1:80": nil},
				}
				d := n.dialer()
				if _, _, err := connects(t, d, "a:80"); err != nil {
					t.Fatal(err)
				}
				n.name("a", fails)
				if got, took, err := connects(t, d, "a:80"); err != nil || got != "10.0.0.1:80" || took > lookupPatience {
					t.Errorf("%s after %s, %v", got, took, err)
				}
				delete(n.hosts, "10.0.0.1:80")
				_, _, err := connects(t, d, "a:80")
				if err == nil || !strings.Contains(err.Error(), "10.0.0.1:80: connection refused; these are its last known addresses, the name cannot be resolved now (") {
					t.Errorf("got %v", err)
				}
				time.Sleep(lookupTimeout) // the lookups end
			})
		})
	}
}

func TestANameThatWasNeverFoundSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, took, err := connects(t, new(network).dialer(), "a:80")
		if want := "connecting to a:80: its name cannot be resolved (no such host)"; err == nil || err.Error() != want || took != 0 {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

func TestALostDNSPacketCostsHalfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n *network
		n = &network{
			names: map[string]func(context.Context) ([]netip.Addr, error){"a": func(ctx context.Context) ([]netip.Addr, error) {
				n.mu.Lock()
				lost := n.lookups == 1
				n.mu.Unlock()
				if lost {
					return nil, silent(ctx)
				}
				return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
			}},
			hosts: map[string]func(context.Context) error{"10.0.0.1:80": nil},
		}
		if got, took, err := connects(t, n.dialer(), "a:80"); err != nil || got != "10.0.0.1:80" || took != lookupAgain {
			t.Errorf("%s after %s, %v", got, took, err)
		}
	})
}

// Attempts that come too late are not left open.
func TestOvertakenConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			names: map[string]func(context.Context) ([]netip.Addr, error){"a": are("10.0.0.1", "10.0.0.2")},
			hosts: map[string]func(context.Context) error{
				"10.0.0.1:80": func(context.Context) error { time.Sleep(time.Second); return nil },
				"10.0.0.2:80": nil,
			},
		}
		if _, _, err := connects(t, n.dialer(), "a:80"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(n.conns) != 2 {
			t.Fatalf("%d connections", len(n.conns))
		}
		for i, c := range n.conns {
			if _, err := c.Write([]byte("x")); err == nil {
				t.Errorf("connection %d is still open", i)
			}
		}
	})
}
