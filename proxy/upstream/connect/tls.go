package connect

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"sync"

	"powerjob-shim/internal/tlsfile"
)

// TLSFiles says how https servers are verified, and which client certificate they get.
// The files are read for each new connection, so that renewed ones are used from then
// on. While they cannot be read, their last contents are used.
type TLSFiles struct {
	CAFile            string // PEM; empty: the system's roots
	ServerName        string // the name in the certificate; empty: the URL's host
	CertFile, KeyFile string // client certificate, PEM; empty: none

	// PinSHA256 are base64 SHA-256 hashes of public keys (SPKI). A server is accepted
	// if its certificate's key has one of them, whatever else the certificate says, and
	// refused otherwise. Empty: name and chain decide.
	PinSHA256 []string
}

// TLS makes the configuration of TLS connections. Make one with NewTLS. Safe for
// concurrent use.
type TLS struct {
	files TLSFiles

	mu   sync.Mutex
	last *tls.Config // the last one that could be read; nil: none yet
}

// NewTLS returns the TLS of a group's servers. The files are not read before the first
// connection; see TLSFiles.Check.
func NewTLS(files TLSFiles) *TLS { return &TLS{files: files} }

// Config returns a configuration for one connection to host, which may be changed.
func (t *TLS) Config(host string) (*tls.Config, error) {
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
	config, err := t.files.Read()
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
	_, err := f.Read()
	return err
}

// Read reads the files and returns a configuration for connections. Its ServerName is
// that of f, which may be empty.
func (f TLSFiles) Read() (*tls.Config, error) {
	config := &tls.Config{ServerName: f.ServerName, MinVersion: tls.VersionTLS12}
	if f.CAFile != "" {
		roots, err := tlsfile.Roots(f.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = roots
	}
	if f.CertFile != "" {
		pair, err := tlsfile.Pair(f.CertFile, f.KeyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if len(f.PinSHA256) > 0 {
		config.InsecureSkipVerify = true // the pin replaces name and chain
		config.VerifyConnection = f.verifyPin
	}
	return config, nil
}

// PinError says that a server was refused because its key's hash is not in PinSHA256.
type PinError struct{ Hash string }

// Error implements error.
func (e *PinError) Error() string {
	return "its key has the hash " + e.Hash + ", which tls.pin_sha256 has not"
}

// verifyPin looks at the server's own certificate only: the server has not proved that
// it holds the keys of the others.
func (f TLSFiles) verifyPin(state tls.ConnectionState) error {
	hash := PinOf(state.PeerCertificates[0])
	if slices.Contains(f.PinSHA256, hash) {
		return nil
	}
	return &PinError{hash}
}

// PinOf returns the entry of PinSHA256 for a certificate.
func PinOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
