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

// acmeTLS is the ALPN protocol of the challenge TLS-ALPN-01 (RFC 8737).
const acmeTLS = "acme-tls/1"

// ACME says which certificates to obtain, from which authority and how.
type ACME struct {
	Domains []string // at least one
	Email   string   // the account's contact; may be empty
	CA      string   // the directory's URL; "": Let's Encrypt
	CARoot  string   // PEM file of the roots that vouch for the CA's own server; "": the system's
	Profile string   // one of the CA's certificate profiles; "": its default

	// The challenges that may be used; at least one. For HTTP01 the CA connects to
	// port 80 of a domain, which must lead to a plain listener; if there is none,
	// port 80 is opened while a challenge lasts. For TLSALPN01 it connects to port
	// 443, which must lead to the https listener.
	HTTP01, TLSALPN01 bool

	// Storage is a directory in certmagic's layout. Instances that share it obtain
	// each certificate only once, and answer each other's challenges.
	Storage string
	// Shared is used instead of Storage, which may then be empty. Nil: Storage is used.
	Shared certmagic.Storage
}

// acme is the keeper of certificates that a certificate authority has signed. While
// a certificate is missing, a self-signed one takes its place.
type acme struct {
	domains []string
	cache   *certmagic.Cache
	magic   *certmagic.Config
	issuer  *certmagic.ACMEIssuer
	standIn *selfSigned // one certificate for all domains
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
		// Fetching OCSP staples would let a slow responder delay the start.
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
		// Stored certificates are used from the first handshake on. run obtains the others.
		_, _ = a.magic.CacheManagedCertificate(context.Background(), domain)
	}
	return a, nil
}

// noEmail tells certmagic that there is no e-mail address. certmagic trims the space.
// Given an empty address, it would look for one elsewhere: in another listener's
// account, or in the accounts in the storage. In the storage it takes the folder
// "default", of an account that is just being stored, for an address. So two names of
// one listener could get two accounts, the second account would overwrite the files of
// the first, and the authority would refuse to renew.
const noEmail = " "

// writable makes dir if it is missing, and checks that a file can be created in it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return err
	}
	_ = f.Close() // nothing was written that could get lost
	return os.Remove(f.Name())
}

// heard passes certmagic's events on to tell, and logs success. certmagic itself logs
// why an attempt failed.
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

// certificate implements keeper. A CA's challenge never gets the stand-in.
func (a *acme) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert, err := a.magic.GetCertificate(hello)
	if err == nil || slices.Equal(hello.SupportedProtos, []string{acmeTLS}) {
		return cert, err
	}
	return a.standIn.certificate(hello)
}

// expiries implements keeper, with one entry for each domain.
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

// run implements keeper. It tells certmagic the listeners' ports, so that certmagic
// leaves challenges to them, and starts it. After a failure, certmagic tries again
// after a minute, then less and less often, but at least every 6 hours.
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
	if err := a.cache.RenewManagedCertificates(ctx); err != nil { // those that expired while the shim was down
		a.log.Error("renewing certificates", zap.Error(err))
	}
	<-ctx.Done()
	a.cache.Stop()
	// Interrupted attempts release their locks themselves. If the process ends before
	// they do, other instances consider the locks stale within seconds.
}

// hostOf returns the IP address that a listener is bound to; "": all addresses.
func hostOf(addr *net.TCPAddr) string {
	if addr.IP.IsUnspecified() {
		return ""
	}
	return addr.IP.String()
}
