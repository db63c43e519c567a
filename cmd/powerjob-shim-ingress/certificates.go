package main

import (
	"context"
	"crypto/tls"
	"sync/atomic"

	"go.uber.org/zap"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/certs"
	"powerjob-shim/proxy/listen"
	"powerjob-shim/rules/hosts"
)

// certificates are the certificates from the Ingresses' Secrets. Safe for concurrent
// use.
type certificates struct {
	current atomic.Pointer[secrets]
	own     *certs.Source // the self-signed one, for hosts without a Secret
}

// secrets are the certificates by host, and in the table that handshakes search. A
// value never changes once it is in use.
type secrets struct {
	byHost map[string]*tls.Certificate
	table  hosts.Table[*tls.Certificate]
}

func newCertificates(log *zap.Logger) (*certificates, error) {
	own, err := certs.Open(certs.Settings{SelfSigned: &certs.SelfSigned{}, Logger: log})
	if err != nil {
		return nil, err
	}
	c := &certificates{own: own}
	c.use(nil)
	return c, nil
}

// use replaces the Secrets' certificates. Handshakes from now on get the new ones.
func (c *certificates) use(byHost map[string]*tls.Certificate) {
	next := &secrets{byHost: byHost}
	next.table.OneLabel = true
	for host, cert := range byHost {
		next.table.Set(host, cert)
	}
	c.current.Store(next)
}

// run renews the self-signed certificate until ctx ends.
func (c *certificates) run(ctx context.Context) { c.own.Run(ctx, nil, nil) }

// find returns the certificate for a handshake: the host's, a wildcard's, or the
// one for every host. Nil: there is none of these.
func (c *certificates) find(hello *tls.ClientHelloInfo) (found *tls.Certificate) {
	c.current.Load().table.Each(hosts.Bare(hello.ServerName), func(cert *tls.Certificate) bool {
		found = cert
		return found == nil
	})
	return found
}

// listeners makes each https listener of the configuration look for a certificate
// among the Secrets' before its own. If the configuration has no https listener, it
// adds one at address, unless that is empty.
func (c *certificates) listeners(list []listen.Listener, address string) []listen.Listener {
	secure := false
	for i := range list {
		if list[i].TLS != nil {
			secure = true
			list[i].TLS = c.first(list[i].TLS)
		}
	}
	if secure || address == "" {
		return list
	}
	added := listen.Listener{}
	if len(list) > 0 {
		added = list[0] // with its limits
	}
	added.Address, added.Redirect, added.TLS = address, nil, c.first(c.own.TLSConfig())
	return append(list, added)
}

// first returns a config that looks for a certificate among the Secrets' first, then
// among config's own.
func (c *certificates) first(config *tls.Config) *tls.Config {
	config = config.Clone()
	own, forClient := config.GetCertificate, config.GetConfigForClient
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if found := c.find(hello); found != nil {
			return found, nil
		}
		return own(hello)
	}
	if forClient != nil {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			other, err := forClient(hello)
			if other != nil {
				other = other.Clone()
				other.GetCertificate = config.GetCertificate
			}
			return other, err
		}
	}
	return config
}

// expiries returns when the Secrets' certificates expire, by host.
func (c *certificates) expiries() []metrics.Expiry {
	var all []metrics.Expiry
	for host, cert := range c.current.Load().byHost {
		if cert.Leaf != nil && host != "" {
			all = append(all, metrics.Expiry{Name: host, NotAfter: cert.Leaf.NotAfter})
		}
	}
	return all
}
