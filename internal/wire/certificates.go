package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"

	"go.uber.org/zap"

	"powerjob-shim/internal/config"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/certs"
	"powerjob-shim/proxy/listen"
)

// Certificates are the certificates of all https listeners.
type Certificates struct {
	sources []*certs.Source // by listener; nil: a plain listener
}

// OpenCertificates loads or makes the listeners' certificates, as far as that needs
// no ACME server; Run does the rest.
func OpenCertificates(cfg *config.Config, log *zap.Logger, m *metrics.Metrics) (*Certificates, error) {
	list := cfg.Listen
	plain := slices.ContainsFunc(list, func(l config.Listener) bool { return l.TLS == nil })
	c := &Certificates{sources: make([]*certs.Source, len(list))}
	for i, l := range list {
		if l.TLS == nil {
			continue
		}
		s := certsFrom(l.TLS, plain)
		if s.ACME != nil && l.TLS.Storage == config.StoreRedis {
			shared, err := sharedCertificates(&cfg.Dedup.Redis, log)
			if err != nil {
				return nil, fmt.Errorf("listen[%d].tls.storage: %w", i, err)
			}
			s.ACME.Shared = shared
		}
		s.Logger = log.With(zap.String("listener", l.Address))
		s.Event = func(e certs.Event) { m.ACMEEvents.WithLabelValues(string(e)).Inc() }
		var err error
		if c.sources[i], err = certs.Open(s); err != nil {
			return nil, fmt.Errorf("listen[%d].tls: %w", i, err)
		}
	}
	m.ObserveCertificates(c.Expiries)
	return c, nil
}

// certsFrom makes a listener's certs.Settings from its configuration. plain: there is
// a plain listener as well.
func certsFrom(t *config.TLS, plain bool) certs.Settings {
	s := certs.Settings{ClientCA: t.ClientCA}
	if t.MinVersion == "1.3" {
		s.MinVersion = tls.VersionTLS13
	}
	switch t.Mode {
	case config.TLSFiles:
		for _, pair := range t.Files {
			s.Files = append(s.Files, certs.KeyPair{Cert: pair.Cert, Key: pair.Key})
		}
	case config.TLSSelfSigned:
		s.SelfSigned = &certs.SelfSigned{Names: t.Names, Storage: t.Storage}
	case config.TLSACME:
		alpn := slices.Contains(t.Challenges, "tls-alpn-01")
		s.ACME = &certs.ACME{
			Domains: t.Domains, Email: t.Email, CA: t.CA, CARoot: t.CARoot, Profile: t.Profile, Storage: t.Storage,
			TLSALPN01: alpn,
			// Without a plain listener http-01 would listen on port 80 itself.
			HTTP01: slices.Contains(t.Challenges, "http-01") && (plain || !alpn),
		}
	}
	return s
}

// Give sets the certificates of each https listener in list, which it returns.
func (c *Certificates) Give(list []listen.Listener) []listen.Listener {
	for i, s := range c.sources {
		if s != nil {
			list[i].TLS = s.TLSConfig()
		}
	}
	return list
}

// Challenge answers a request to a plain listener if it is an ACME challenge. False:
// it is not.
func (c *Certificates) Challenge(w http.ResponseWriter, r *http.Request) bool {
	return slices.ContainsFunc(c.sources, func(s *certs.Source) bool { return s != nil && s.Challenge(w, r) })
}

// Run obtains and renews certificates until ctx ends. addrs are the listeners'
// addresses, in the order of the configuration.
func (c *Certificates) Run(ctx context.Context, addrs []net.Addr) {
	var plain net.Addr
	for i, s := range c.sources {
		if s == nil && plain == nil {
			plain = addrs[i]
		}
	}
	var wg sync.WaitGroup
	for i, s := range c.sources {
		if s != nil {
			wg.Go(func() { s.Run(ctx, addrs[i], plain) })
		}
	}
	wg.Wait()
}

// Expiries returns when the certificates expire, by name.
func (c *Certificates) Expiries() []metrics.Expiry {
	var all []metrics.Expiry
	for _, s := range c.sources {
		if s == nil {
			continue
		}
		for _, e := range s.Expiries() {
			all = append(all, metrics.Expiry(e))
		}
	}
	return all
}
