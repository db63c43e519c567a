package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// handshakeTimeout bounds one TLS handshake with a server.
const handshakeTimeout = 5 * time.Second

// UpstreamTLS is how https servers are checked, and what they are shown. The
// files are read for each new connection, so that renewed ones count from then
// on; while they cannot be read, what they were before counts.
type UpstreamTLS struct {
	CAFile            string // PEM; empty: the system's roots
	ServerName        string // the name in the certificate; empty: the URL's host
	CertFile, KeyFile string // client certificate, PEM; empty: none
}

// tlsDialer makes TLS connections to the servers of a group. Safe for
// concurrent use.
type tlsDialer struct {
	settings UpstreamTLS
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)

	mu   sync.Mutex
	last *tls.Config // the last one that could be read; nil: none yet
}

func (d *tlsDialer) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	config, err := d.config()
	if err != nil {
		return nil, fmt.Errorf("reading tls files: %w", err)
	}
	config = config.Clone()
	if config.ServerName == "" {
		if config.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			return nil, err
		}
	}
	conn, err := d.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // the handshake's error is the one to tell
		return nil, err
	}
	return secure, nil
}

func (d *tlsDialer) config() (*tls.Config, error) {
	config, err := d.settings.read()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.last = config
	} else if d.last != nil {
		return d.last, nil
	}
	return config, err
}

func (u UpstreamTLS) read() (*tls.Config, error) {
	config := &tls.Config{ServerName: u.ServerName, MinVersion: tls.VersionTLS12}
	if u.CAFile != "" {
		pem, err := os.ReadFile(u.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New(u.CAFile + " has no certificate")
		}
	}
	if u.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(u.CertFile, u.KeyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
