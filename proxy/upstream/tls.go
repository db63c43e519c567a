package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"sync"
)

// TLSFiles is how https servers are checked, and what they are shown. The files
// are read for each new connection, so that renewed ones count from then on;
// while they cannot be read, what they were before counts.
type TLSFiles struct {
	CAFile            string // PEM; empty: the system's roots
	ServerName        string // the name in the certificate; empty: the URL's host
	CertFile, KeyFile string // client certificate, PEM; empty: none
}

// TLS makes the configuration of TLS connections. Make one with NewTLS. Safe for
// concurrent use.
type TLS struct {
	files TLSFiles

	mu   sync.Mutex
	last *tls.Config // the last one that could be read; nil: none yet
}

// NewTLS returns how the servers of a group are spoken to. The files are not
// read before the first connection; see TLSFiles.Check.
func NewTLS(files TLSFiles) *TLS { return &TLS{files: files} }

// config returns the configuration for a connection to host, a copy.
func (t *TLS) config(host string) (*tls.Config, error) {
	config, err := t.current()
	if err != nil {
		return nil, err
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	return config, nil
}

func (t *TLS) current() (*tls.Config, error) {
	config, err := t.files.read()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.last = config
	} else if t.last != nil {
		return t.last, nil
	}
	return config, err
}

// Check returns why the files cannot be used, nil if they can.
func (f TLSFiles) Check() error {
	_, err := f.read()
	return err
}

func (f TLSFiles) read() (*tls.Config, error) {
	config := &tls.Config{ServerName: f.ServerName, MinVersion: tls.VersionTLS12}
	if f.CAFile != "" {
		pem, err := os.ReadFile(f.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New(f.CAFile + " has no certificate")
		}
	}
	if f.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(f.CertFile, f.KeyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
