package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// resolveTo makes the process resolve every name to the address that current
// holds, until the test ends.
func resolveTo(t *testing.T, current *atomic.Pointer[[4]byte]) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type},
					Body:   &dnsmessage.AResource{A: *current.Load()},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = pc.WriteTo(out, from)
			}
		}
	}()
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// The old server goes on answering and its connections are never idle for long:
// only looking the name up again leads away from it.
func TestANameIsFollowedToItsNewAddressByClientsThatNeverPause(t *testing.T) {
	var at atomic.Pointer[[4]byte]
	at.Store(&[4]byte{127, 0, 0, 1})
	resolveTo(t, &at)
	says := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }
	}
	old := httptest.NewServer(says("old"))
	t.Cleanup(old.Close)
	_, port, err := net.SplitHostPort(old.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skipf("no second loopback address here: %v", err)
	}
	next := &httptest.Server{Listener: ln, Config: &http.Server{Handler: says("new")}}
	next.Start()
	t.Cleanup(next.Close)

	settings := settingsFor(t, "http://powerjob.test:"+port)
	u := settings.Upstreams["default"]
	u.IdleTimeout = time.Second // longer than any pause of a busy machine
	settings.Upstreams["default"] = u
	s := newShim(t, settings)
	_, body := parse(t, raw(t, s.addr, request("GET", "/", "")))
	if body != "old" {
		t.Fatalf("before the change the client got %q", body)
	}
	at.Store(&[4]byte{127, 0, 0, 2})
	eventually(t, "the new address answers", func() bool {
		_, body := parse(t, raw(t, s.addr, request("GET", "/", "")))
		return body == "new"
	})
}
