package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/internal/tlsfile"
)

// KeyPair names the PEM files of a certificate chain and its key.
type KeyPair struct{ Cert, Key string }

// files keeps certificates from files, all of them or none.
type files struct {
	set     tlsfile.Set // cert, key, cert, key, ...
	every   time.Duration
	log     *zap.Logger
	current atomic.Pointer[[]tls.Certificate]
}

func newFiles(s Settings) (*files, error) {
	f := &files{every: s.poll, log: s.Logger}
	for _, pair := range s.Files {
		f.set.Names = append(f.set.Names, pair.Cert, pair.Key)
	}
	if err := f.set.Load(f.load); err != nil {
		return nil, fmt.Errorf("loading certificates: %w", err)
	}
	return f, nil
}

func (f *files) load(contents [][]byte) error {
	var certs []tls.Certificate
	var errs []error
	for i := 0; i < len(contents); i += 2 {
		cert, err := tlsfile.ParsePair(f.set.Names[i], f.set.Names[i+1], contents[i], contents[i+1])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		certs = append(certs, cert)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	f.current.Store(&certs)
	return nil
}

// certificate prefers the one with exactly the name that the client asks for
// to one with a wildcard, then the one listed first.
func (f *files) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	certs := *f.current.Load()
	best := &certs[0]
	found := false
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	for i := range certs {
		if hello.SupportsCertificate(&certs[i]) != nil {
			continue
		}
		if slices.Contains(certs[i].Leaf.DNSNames, name) {
			return &certs[i], nil
		}
		if !found {
			best, found = &certs[i], true
		}
	}
	return best, nil
}

func (f *files) expiries() []Expiry {
	var all []Expiry
	for _, cert := range *f.current.Load() {
		all = append(all, expiriesOf(cert.Leaf)...)
	}
	return all
}

func (f *files) run(ctx context.Context, _, _ net.Addr) { f.set.Poll(ctx, f.every, f.load, f.log) }

// expiriesOf has one entry for each name of a certificate.
func expiriesOf(leaf *x509.Certificate) []Expiry {
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		names = []string{leaf.Subject.CommonName}
	}
	all := make([]Expiry, len(names))
	for i, name := range names {
		all[i] = Expiry{name, leaf.NotAfter}
	}
	return all
}
