// Package certs provides an https listener's certificates: from files, from a
// certificate authority, or a self-signed one.
//
// The simple way, for files:
//
//	source, err := certs.Open(certs.Settings{Files: []certs.KeyPair{{Cert: "tls.crt", Key: "tls.key"}}})
//	listener.TLS = source.TLSConfig()
//	go source.Run(ctx, nil, nil)
//
// A certificate authority sends challenges to the listeners. So Run needs their
// addresses, and the handler of the plain listener calls Challenge:
//
//	source, err := certs.Open(certs.Settings{ACME: &certs.ACME{Domains: domains, Storage: dir, TLSALPN01: true}})
//	go source.Run(ctx, server.Addrs()[0], server.Addrs()[1])
//	if source.Challenge(w, r) { return }
//
// Each new handshake uses the newest certificate; open connections keep theirs. A
// client that asks for a name without a certificate gets the first one: PowerJob's
// client verifies nothing, so a wrong certificate serves it better than none.
package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/internal/tlsfile"
)

// http1 is the only protocol that is offered for calls: HTTP/2 lowercases the header
// that PowerJob's client looks for.
const http1 = "http/1.1"

// pollInterval is how often files are read again.
const pollInterval = 5 * time.Second

// Settings say where one listener's certificates come from. Exactly one of
// Files, SelfSigned and ACME is set.
type Settings struct {
	Files      []KeyPair
	SelfSigned *SelfSigned
	ACME       *ACME

	// ClientCA is a PEM file of CA certificates. Clients must then present a
	// certificate that one of them has signed. The file is read again when it
	// changes. "": clients need no certificate.
	ClientCA string

	MinVersion uint16 // 0: TLS 1.2

	Logger *zap.Logger   // nil: nothing is logged
	Event  func(e Event) // called with each Event of ACME, by any goroutine; nil: not called

	poll  time.Duration // 0: pollInterval
	renew time.Duration // how often ACME looks for certificates to renew; 0: certmagic's 10 min
}

// Event is something that ACME did. The values are metric labels.
type Event string

// The events.
const (
	Obtained Event = "obtained" // a name's first certificate
	Renewed  Event = "renewed"  // a newer certificate for a name that has one
	Failed   Event = "failed"   // an attempt to obtain or renew; there will be another
)

// Expiry says until when a name's certificate is valid. NotAfter is zero while the name
// has no certificate.
type Expiry struct {
	Name     string
	NotAfter time.Time
}

// Source provides the certificates of one listener. Safe for concurrent use. Make
// one with Open.
type Source struct {
	settings Settings
	keeper   keeper
	clientCA tlsfile.Set
	clients  atomic.Pointer[tls.Config] // the TLS configuration that asks for client certificates; nil: they are not wanted
}

// keeper holds certificates that come from one kind of origin. Its methods are called
// by several goroutines at once.
type keeper interface {
	// certificate chooses the certificate for a handshake.
	certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	expiries() []Expiry // see Source.Expiries
	// run keeps the certificates fresh until ctx ends; see Source.Run.
	run(ctx context.Context, https, plain net.Addr)
}

// Open loads the certificates that exist already, or makes a self-signed one. It does
// not contact a certificate authority; Run does.
func Open(s Settings) (*Source, error) {
	if s.Logger == nil {
		s.Logger = zap.NewNop()
	}
	if s.Event == nil {
		s.Event = func(Event) {}
	}
	if s.MinVersion == 0 {
		s.MinVersion = tls.VersionTLS12
	}
	if s.poll == 0 {
		s.poll = pollInterval
	}
	src := &Source{settings: s}
	var err error
	switch {
	case s.ACME != nil:
		src.keeper, err = newACME(s)
	case s.SelfSigned != nil:
		src.keeper = newSelfSigned(*s.SelfSigned, s.Logger)
	case len(s.Files) > 0:
		src.keeper, err = newFiles(s)
	default:
		err = errors.New("no certificates: neither files, self-signed nor acme")
	}
	if err != nil {
		return nil, err
	}
	if s.ClientCA != "" {
		src.clientCA.Names = []string{s.ClientCA}
		if err := src.clientCA.Load(src.trust); err != nil {
			return nil, fmt.Errorf("loading the clients' CA: %w", err)
		}
	}
	return src, nil
}

// TLSConfig returns the configuration for the listener. The caller must not change it.
func (s *Source) TLSConfig() *tls.Config {
	cfg := s.base()
	if s.settings.ClientCA != "" || s.settings.ACME != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if s.settings.ACME != nil && slices.Equal(hello.SupportedProtos, []string{acmeTLS}) {
				return nil, nil // a certificate authority, which has no client certificate
			}
			return s.clients.Load(), nil
		}
	}
	return cfg
}

// base returns the listener's configuration without the demand for client certificates.
func (s *Source) base() *tls.Config {
	cfg := &tls.Config{
		MinVersion:     s.settings.MinVersion,
		NextProtos:     []string{http1},
		GetCertificate: s.keeper.certificate,
	}
	if s.settings.ACME != nil {
		cfg.NextProtos = append(cfg.NextProtos, acmeTLS)
	}
	return cfg
}

// trust makes new handshakes demand a certificate signed by a CA in contents[0], the
// content of ClientCA.
func (s *Source) trust(contents [][]byte) error {
	pool, err := tlsfile.ParseRoots(s.settings.ClientCA, contents[0])
	if err != nil {
		return err
	}
	cfg := s.base()
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, pool
	s.clients.Store(cfg)
	return nil
}

// Run keeps the certificates fresh until ctx ends. https is the address of the https
// listener, plain that of a plain listener; nil: there is none. Only ACME uses them.
func (s *Source) Run(ctx context.Context, https, plain net.Addr) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s.settings.ClientCA != "" {
			s.clientCA.Poll(ctx, s.settings.poll, s.trust, s.settings.Logger)
		}
	}()
	s.keeper.run(ctx, https, plain)
	<-done
}

// Challenge answers r if it belongs to an HTTP-01 challenge that this source, or another
// instance with the same storage, has started. Otherwise it does nothing and returns
// false.
func (s *Source) Challenge(w http.ResponseWriter, r *http.Request) bool {
	a, ok := s.keeper.(*acme)
	return ok && a.issuer.HandleHTTPChallenge(w, r)
}

// Expiries returns until when the certificates are valid, by name.
func (s *Source) Expiries() []Expiry { return s.keeper.expiries() }
