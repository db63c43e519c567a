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

// files is the keeper of certificates from files. A change of the files takes effect
// only if all of them can be loaded.
type files struct {
	set     tlsfile.Set // cert, key, cert, key, ...
	every   time.Duration
	log     *zap.Logger
	current atomic.Pointer[[]tls.Certificate] // in the order of Settings.Files; never nil after newFiles
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

// load puts the files' new contents to use. On an error, the current certificates stay.
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

// certificate implements keeper. It prefers a certificate with exactly the name that the
// client asks for to one with a wildcard; among equals, the one listed first.
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

// expiries implements keeper.
func (f *files) expiries() []Expiry {
	var all []Expiry
	for _, cert := range *f.current.Load() {
		all = append(all, expiriesOf(cert.Leaf)...)
	}
	return all
}

// run implements keeper.
func (f *files) run(ctx context.Context, _, _ net.Addr) { f.set.Poll(ctx, f.every, f.load, f.log) }

// expiriesOf returns one entry for each name and address of a certificate; for its
// common name if it has neither.
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
