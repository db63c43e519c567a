package certs

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"powerjob-shim/internal/tlsfile"
)

// acmeTLS is the protocol of TLS-ALPN-01 (RFC 8737).
const acmeTLS = "acme-tls/1"

// ACME says which certificates to obtain, from whom and how.
type ACME struct {
	Domains []string // at least one
	Email   string   // the account's contact; may be empty
	CA      string   // the directory's URL; "": Let's Encrypt
	CARoot  string   // PEM file with the root of the CA's own certificate; "": the system's
	Profile string   // one of the CA's certificate profiles; "": its default

	// The challenges that may be used; at least one. HTTP01 comes to port 80 of
	// a domain, and from there to a plain listener; without one, port 80 is
	// opened while a challenge lasts. TLSALPN01 comes to port 443, and from
	// there to the https listener.
	HTTP01, TLSALPN01 bool

	// Storage is a directory in certmagic's layout. Instances that share it ask
	// for each certificate once, and answer each other's challenges.
	Storage string
	// Shared is used instead of Storage, which may then be empty. Nil: it is not.
	Shared certmagic.Storage
}

// acme keeps certificates that a certificate authority has signed. One that is
// not there yet is stood in for by a self-signed one.
type acme struct {
	domains []string
	cache   *certmagic.Cache
	magic   *certmagic.Config
	issuer  *certmagic.ACMEIssuer
	standIn *selfSigned
	log     *zap.Logger
}

func newACME(s Settings) (*acme, error) {
	o := s.ACME
	storage := o.Shared
	if storage == nil {
		if err := writable(o.Storage); err != nil {
			return nil, fmt.Errorf("opening the certificates' storage: %w", err)
		}
		storage = &certmagic.FileStorage{Path: o.Storage}
	}
	var roots *x509.CertPool
	if o.CARoot != "" {
		var err error
		if roots, err = tlsfile.Roots(o.CARoot); err != nil {
			return nil, fmt.Errorf("loading the root of the ACME server: %w", err)
		}
	}
	a := &acme{
		domains: o.Domains,
		log:     s.Logger,
		standIn: newSelfSigned(SelfSigned{Names: o.Domains}, zap.NewNop()),
	}
	quiet := s.Logger.Named("certmagic").WithOptions(zap.IncreaseLevel(zap.WarnLevel))
	a.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return a.magic, nil },
		RenewCheckInterval: s.renew,
		Logger:             quiet,
	})
	a.magic = certmagic.New(a.cache, certmagic.Config{
		Storage:            storage,
		DefaultServerName:  o.Domains[0],
		FallbackServerName: o.Domains[0],
		// Fetching staples would let a slow responder hold up the start.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
		OnEvent: func(_ context.Context, event string, data map[string]any) error {
			a.heard(event, data, s.Event)
			return nil
		},
		Logger: quiet,
	})
	a.issuer = certmagic.NewACMEIssuer(a.magic, certmagic.ACMEIssuer{
		CA: o.CA, Email: cmp.Or(o.Email, noEmail), Agreed: true, Profile: o.Profile, TrustedRoots: roots,
		DisableHTTPChallenge: !o.HTTP01, DisableTLSALPNChallenge: !o.TLSALPN01,
		Logger: quiet,
	})
	a.magic.Issuers = []certmagic.Issuer{a.issuer}
	for _, domain := range o.Domains {
		// What is stored serves from the first handshake on; the rest is run's.
		_, _ = a.magic.CacheManagedCertificate(context.Background(), domain)
	}
	return a, nil
}

// noEmail is how certmagic is told that there is no e-mail address. It cuts the
// space off, but for an empty one it would go and look for an address: that of
// another listener's account, or of an account in the storage. There it takes
// the folder "default" of an account that is just being stored for an address.
// So two names of one listener could get two accounts, the second over the
// first one's files, and the authority would refuse to renew.
const noEmail = " "

// writable makes a directory and tries whether files can be made in it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return err
	}
	_ = f.Close() // it is empty
	return os.Remove(f.Name())
}

// heard counts and logs certmagic's events. Why an attempt failed certmagic
// logs itself.
func (a *acme) heard(event string, data map[string]any, tell func(Event)) {
	switch event {
	case "cert_obtained":
		e := Obtained
		if renewal, _ := data["renewal"].(bool); renewal {
			e = Renewed
		}
		tell(e)
		a.log.Info("certificate "+string(e), zap.Any("name", data["identifier"]), zap.Any("issuer", data["issuer"]))
	case "cert_failed":
		tell(Failed)
	}
}

func (a *acme) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert, err := a.magic.GetCertificate(hello)
	if err == nil || slices.Equal(hello.SupportedProtos, []string{acmeTLS}) {
		return cert, err
	}
	return a.standIn.certificate(hello)
}

func (a *acme) expiries() []Expiry {
	all := make([]Expiry, len(a.domains))
	for i, domain := range a.domains {
		all[i].Name = domain
		for _, cert := range a.cache.AllMatchingCertificates(domain) {
			if cert.Leaf.NotAfter.After(all[i].NotAfter) {
				all[i].NotAfter = cert.Leaf.NotAfter
			}
		}
	}
	return all
}

// run tells certmagic where the listeners are, so that it leaves challenges to
// them, and lets it work. It tries again after a minute, then less and less
// often, at least every 6 hours.
func (a *acme) run(ctx context.Context, https, plain net.Addr) {
	if tcp, ok := https.(*net.TCPAddr); ok {
		a.issuer.AltTLSALPNPort = tcp.Port
		a.issuer.ListenHost = hostOf(tcp)
	}
	if tcp, ok := plain.(*net.TCPAddr); ok {
		a.issuer.AltHTTPPort = tcp.Port
	}
	if err := a.magic.ManageAsync(ctx, a.domains); err != nil {
		a.log.Error("obtaining certificates", zap.Error(err))
	}
	if err := a.cache.RenewManagedCertificates(ctx); err != nil { // those that expired while nobody ran
		a.log.Error("renewing certificates", zap.Error(err))
	}
	<-ctx.Done()
	a.cache.Stop()
	// What is interrupted gives its locks back by itself; where the process ends
	// before it does, other instances take them for stale within seconds.
}

// hostOf returns the address that a listener is bound to; "": all.
func hostOf(addr *net.TCPAddr) string {
	if addr.IP.IsUnspecified() {
		return ""
	}
	return addr.IP.String()
}
