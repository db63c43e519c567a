// Package tlsfile reads the PEM files that TLS needs, for listeners and for
// connections to servers alike.
//
// The simple way:
//
//	roots, err := tlsfile.Roots("ca.crt")
//	pair, err := tlsfile.Pair("tls.crt", "tls.key")
//
// A [Set] watches files while the process runs; [ParseRoots] and [ParsePair] parse
// what it has read. Every error names the file and says what is wrong with it and
// what to write.
package tlsfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Roots returns a pool with the certificates of a file.
func Roots(file string) (*x509.CertPool, error) {
	pem, err := read(file)
	if err != nil {
		return nil, err
	}
	return ParseRoots(file, pem)
}

// Pair returns a certificate chain and its key.
func Pair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := read(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := read(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return ParsePair(certFile, keyFile, cert, key)
}

// ParseRoots is Roots for a file that has been read. file is for the error.
func ParseRoots(file string, pem []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM; write one or more, each from -----BEGIN CERTIFICATE----- to its END", file)
	}
	return pool, nil
}

// ParsePair is Pair for files that have been read. Their names are for the error.
func ParsePair(certFile, keyFile string, cert, key []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s with %s: %w; write a certificate chain and its key in PEM", certFile, keyFile, err)
	}
	return pair, nil
}

func read(file string) ([]byte, error) {
	content, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", file, Reason(err))
	}
	return content, nil
}

// Readable returns nil if a file can be opened; otherwise the error says why not.
func Readable(file string) error {
	f, err := os.Open(file) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", file, Reason(err))
	}
	return f.Close()
}

// Reason returns err without the file's path, for messages that name it already.
func Reason(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
