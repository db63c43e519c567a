// Package certs is where an https listener's certificates come from: files, one
// that is made here, or a certificate authority.
//
// The simple way, for files:
//
//	source, err := certs.Open(certs.Settings{Files: []certs.KeyPair{{Cert: "tls.crt", Key: "tls.key"}}})
//	listener.TLS = source.TLSConfig()
//	go source.Run(ctx, nil, nil)
//
// A certificate authority asks questions, so it has to be known where the
// listeners are, and the plain one answers its part:
//
//	source, err := certs.Open(certs.Settings{ACME: &certs.ACME{Domains: domains, Storage: dir, TLSALPN01: true}})
//	go source.Run(ctx, server.Addrs()[0], server.Addrs()[1])
//	if source.Challenge(w, r) { return }
//
// Whoever shakes hands gets the newest certificate; connections that are open
// keep theirs. A name that no certificate has gets the first one: PowerJob's
// client verifies nothing, and a wrong certificate serves it better than none.
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

// http1 is the only protocol that is offered: HTTP/2 lowercases the header that
// PowerJob's client looks for.
const http1 = "http/1.1"

// pollInterval is how often files are read again.
const pollInterval = 5 * time.Second

// Settings say where one listener's certificates come from. Exactly one of
// Files, SelfSigned and ACME is set.
type Settings struct {
	Files      []KeyPair
	SelfSigned *SelfSigned
	ACME       *ACME

	// ClientCA is a PEM file; clients must then show a certificate that it
	// has signed. It is read again when it changes. "": they need none.
	ClientCA string

	MinVersion uint16 // 0: TLS 1.2

	Logger *zap.Logger   // nil: nothing is logged
	Event  func(e Event) // is told of each Event of ACME, from any goroutine; nil: nobody is

	poll  time.Duration // 0: pollInterval
	renew time.Duration // how often ACME looks for what expires; 0: certmagic's 10 min
}

// Event is something that ACME did. The values are metric labels.
type Event string

// The events.
const (
	Obtained Event = "obtained" // a name's first certificate
	Renewed  Event = "renewed"
	Failed   Event = "failed" // an attempt at either; there will be another
)

// Expiry is until when a name's certificate is valid. A zero NotAfter: it has
// none yet.
type Expiry struct {
	Name     string
	NotAfter time.Time
}

// Source has the certificates of one listener. Safe for concurrent use. Make
// one with Open.
type Source struct {
	settings Settings
	keeper   keeper
	clientCA tlsfile.Set
	clients  atomic.Pointer[tls.Config] // with client certificates; nil: none are wanted
}

// keeper is one way to have certificates.
type keeper interface {
	certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	expiries() []Expiry
	// run keeps them fresh until ctx ends.
	run(ctx context.Context, https, plain net.Addr)
}

// Open reads or makes the certificates that are at hand. It asks no
// certificate authority: that is Run's part.
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

// TLSConfig returns what a listener needs. It must not be changed.
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

// base is the listener's configuration without client certificates.
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

// trust makes clients show a certificate signed by one in the file.
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

// Run keeps the certificates fresh until ctx ends. https is where the listener
// is, plain where a plain one is; nil where the process has neither. Only ACME uses it.
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

// Challenge answers a request of HTTP-01 that this source, or another instance
// with the same storage, has asked for. It returns false and has done nothing
// if r is something else.
func (s *Source) Challenge(w http.ResponseWriter, r *http.Request) bool {
	a, ok := s.keeper.(*acme)
	return ok && a.issuer.HandleHTTPChallenge(w, r)
}

// Expiries tells until when the certificates are valid, by name.
func (s *Source) Expiries() []Expiry { return s.keeper.expiries() }
