package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/pebble"
	"powerjob-shim/internal/tcpfaults"
	"powerjob-shim/internal/testca"
)

// site is a plain and an https listener with ACME certificates, as the shim has.
type site struct {
	*Source
	https, plain net.Addr
	logs         *observer.ObservedLogs
	stop         func()

	mu     sync.Mutex
	events []Event
	proofs int // HTTP-01 challenges that were answered
}

func (s *site) heard(e Event) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, have := range s.events {
		if have == e {
			n++
		}
	}
	return n
}

// listenTwice opens the sockets of a site.
func listenTwice(t *testing.T) (https, plain net.Listener) {
	t.Helper()
	listen := func() net.Listener {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	return listen(), listen()
}

func port(addr net.Addr) int { return addr.(*net.TCPAddr).Port }

// newSite opens a site on these listeners and runs it.
func newSite(t *testing.T, https, plain net.Listener, s Settings) *site {
	t.Helper()
	out := &site{https: https.Addr(), plain: plain.Addr()}
	s, out.logs = logged(s)
	s.Event = func(e Event) {
		out.mu.Lock()
		defer out.mu.Unlock()
		out.events = append(out.events, e)
	}
	src, err := Open(s)
	if err != nil {
		t.Fatal(err)
	}
	out.Source = src
	empty := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	secure := &http.Server{Handler: empty, ReadHeaderTimeout: patience, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, ErrorLog: zap.NewStdLog(zap.NewNop())}
	insecure := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if src.Challenge(w, r) {
			out.mu.Lock()
			defer out.mu.Unlock()
			out.proofs++
		}
	})}
	ctx, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _ = secure.Serve(tls.NewListener(https, src.TLSConfig())) })
	all.Go(func() { _ = insecure.Serve(plain) })
	all.Go(func() { src.Run(ctx, https.Addr(), plain.Addr()) })
	out.stop = sync.OnceFunc(func() {
		end()
		_ = secure.Close()
		_ = insecure.Close()
		all.Wait()
	})
	t.Cleanup(func() {
		out.stop()
		if t.Failed() {
			for _, entry := range out.logs.All() {
				t.Logf("%s %s %v", entry.Level, entry.Message, entry.ContextMap())
			}
		}
	})
	return out
}

// newPebble builds an authority.
func newPebble(t *testing.T) *pebble.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no real parts")
	}
	ca, err := pebble.New(t.TempDir())
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip(err) // its modules cannot be had here
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ca.Stop()
		if t.Failed() {
			t.Log(ca.Log())
		}
	})
	return ca
}

// signed returns the authority's certificate for name, or nil while that one
// is stood in for.
func (s *site) signed(name string) *x509.Certificate {
	leaf, err := shakeOnly(s.https.String(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil || !strings.Contains(leaf.Issuer.CommonName, "Pebble") {
		return nil
	}
	return leaf
}

func shakeOnly(addr string, cfg *tls.Config) (*x509.Certificate, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0], nil
}

func TestCertificatesAreObtainedByEitherChallenge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		http, alpn bool
	}{{"HTTP-01", true, false}, {"TLS-ALPN-01", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ca := newPebble(t)
			https, plain := listenTwice(t)
			if err := ca.Start(port(plain.Addr()), port(https.Addr()), time.Hour); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			settings := Settings{ACME: &ACME{
				Domains: []string{strings.ToLower(c.name) + "-a.test", strings.ToLower(c.name) + "-b.test"}, Email: "me@example.com", CA: ca.Directory, CARoot: ca.Root,
				Profile: "default", HTTP01: c.http, TLSALPN01: c.alpn, Storage: dir,
			}}
			s := newSite(t, https, plain, settings)
			for _, name := range settings.ACME.Domains {
				await.That(t, "there is a certificate for "+name, func() bool {
					leaf := s.signed(name) // before it has its own, it gets the first one
					return leaf != nil && leaf.VerifyHostname(name) == nil
				})
			}
			if unknown := s.signed("unknown.test"); unknown == nil || unknown.VerifyHostname(settings.ACME.Domains[0]) != nil {
				t.Error("an unknown name does not get the first certificate")
			}
			if got := s.heard(Obtained); got != 2 || s.heard(Failed) > 0 {
				t.Errorf("%d obtained, %d failed", got, s.heard(Failed))
			}
			if got := s.proofs > 0; got != c.http {
				t.Errorf("%d HTTP challenges were answered", s.proofs)
			}
			for _, e := range s.Expiries() {
				if left := time.Until(e.NotAfter); left < 24*time.Hour {
					t.Errorf("%s: %v left", e.Name, left)
				}
			}

			// A restart asks nobody.
			s.stop()
			ca.Stop()
			first, err := Open(settings)
			if err != nil {
				t.Fatal(err)
			}
			if got := first.Expiries(); got[0].NotAfter.IsZero() || got[1].NotAfter.IsZero() {
				t.Errorf("after a restart: %v", got)
			}
			first.keeper.(*acme).cache.Stop()
		})
	}
}

func TestACertificateIsRenewedInTime(t *testing.T) {
	t.Parallel()
	ca := newPebble(t)
	https, plain := listenTwice(t)
	if err := ca.Start(port(plain.Addr()), port(https.Addr()), 15*time.Second); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, https, plain, Settings{renew: time.Second, ACME: &ACME{
		Domains: []string{"renewed.test"}, CA: ca.Directory, CARoot: ca.Root, Profile: "shortlived", TLSALPN01: true, Storage: t.TempDir(),
	}})
	await.That(t, "there is a certificate", func() bool { return s.signed("renewed.test") != nil })
	first := s.signed("renewed.test")
	served := first
	await.That(t, "there is another one", func() bool { served = s.signed("renewed.test"); return !served.Equal(first) })
	if now := time.Now(); now.After(first.NotAfter) {
		t.Errorf("it came %v after the first one's end", now.Sub(first.NotAfter))
	}
	await.That(t, "the renewal is told", func() bool { return s.heard(Renewed) > 0 })
	if s.heard(Obtained) != 1 {
		t.Errorf("%d obtained", s.heard(Obtained))
	}
}

// again returns another listener on the same port, which can be used once ln is closed.
func again(t *testing.T, ln net.Listener) net.Listener {
	t.Helper()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // a copy of it lives on
	out, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhileTheAuthorityIsDownTheOtherNamesAreServed(t *testing.T) {
	t.Parallel()
	ca := newPebble(t)
	dir := t.TempDir()
	// The way to it is cut, not the authority stopped: it would forget its accounts.
	address := strings.TrimSuffix(strings.TrimPrefix(ca.Directory, "https://"), "/dir")
	way := tcpfaults.New(t, address)
	acme := ACME{CA: strings.Replace(ca.Directory, address, way.Addr, 1), CARoot: ca.Root, Profile: "default", TLSALPN01: true, Storage: dir}

	// A first life, in which one name gets its certificate.
	https, plain := listenTwice(t)
	https2, plain2 := again(t, https), again(t, plain)
	if err := ca.Start(port(plain.Addr()), port(https.Addr()), time.Hour); err != nil {
		t.Fatal(err)
	}
	one := acme
	one.Domains = []string{"early.test"}
	s := newSite(t, https, plain, Settings{ACME: &one})
	await.That(t, "there is a certificate", func() bool { return s.signed("early.test") != nil })
	s.stop()
	way.Refuse(true)

	// A second one, which wants two names of an authority that is down.
	both := acme
	both.Domains = []string{"late.test", "early.test"}
	s = newSite(t, https2, plain2, Settings{ACME: &both})
	if s.signed("early.test") == nil {
		t.Error("the name that has a certificate is not served with it")
	}
	await.That(t, "the failure is told", func() bool { return s.heard(Failed) > 0 })
	if leaf, err := shakeOnly(s.https.String(), &tls.Config{ServerName: "late.test", InsecureSkipVerify: true}); err != nil || leaf.VerifyHostname("late.test") != nil {
		t.Errorf("the other name is not stood in for: %v", err)
	}
	if got := s.Expiries(); !got[0].NotAfter.IsZero() || got[1].NotAfter.IsZero() {
		t.Errorf("expiries %v", got)
	}

	// The next attempt comes by itself; see retryIntervals.
	way.Refuse(false)
	await.That(t, "the authority is back, and there is a certificate", func() bool { return s.signed("late.test") != nil })
}

func TestAnAuthorityNeedsNoClientCertificate(t *testing.T) {
	t.Parallel()
	ca := newPebble(t)
	https, plain := listenTwice(t)
	if err := ca.Start(port(plain.Addr()), port(https.Addr()), time.Hour); err != nil {
		t.Fatal(err)
	}
	clients, dir := testca.New(t), t.TempDir()
	trusted := dir + "/clients.crt"
	put(t, trusted, clients.PEM)
	s := newSite(t, https, plain, Settings{ClientCA: trusted, ACME: &ACME{
		Domains: []string{"mutual.test"}, CA: ca.Directory, CARoot: ca.Root, Profile: "default", TLSALPN01: true, Storage: dir,
	}})
	await.That(t, "the certificate is there", func() bool { return !s.Expiries()[0].NotAfter.IsZero() })
	if _, err := shake(s.https.String(), &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("a client without a certificate was accepted")
	}
	// With TLS 1.3 an authority has seen the certificate before it is refused;
	// with TLS 1.2 it would not.
	for _, c := range []struct {
		offered string
		want    tls.ClientAuthType
	}{{acmeTLS, tls.NoClientCert}, {http1, tls.RequireAndVerifyClientCert}} {
		cfg := s.TLSConfig()
		other, err := cfg.GetConfigForClient(&tls.ClientHelloInfo{SupportedProtos: []string{c.offered}})
		if err != nil {
			t.Fatal(err)
		}
		if other != nil {
			cfg = other
		}
		if cfg.ClientAuth != c.want {
			t.Errorf("who offers %s is asked for %v, want %v", c.offered, cfg.ClientAuth, c.want)
		}
	}
}
