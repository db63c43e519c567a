package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Authority is a CA of a test's own, and files of what it has signed.
type Authority struct {
	CAFile            string
	CertFile, KeyFile string // a client's
	server, serverKey string
	certificate       *x509.Certificate
	key               *ecdsa.PrivateKey
	pool              *x509.CertPool
	client            tls.Certificate
}

// Client is what a client that is let in connects with.
func (a *Authority) Client() *tls.Config {
	return &tls.Config{RootCAs: a.pool, Certificates: []tls.Certificate{a.client}, MinVersion: tls.VersionTLS12}
}

// Stranger is what a client without a certificate connects with.
func (a *Authority) Stranger() *tls.Config {
	return &tls.Config{RootCAs: a.pool, MinVersion: tls.VersionTLS12}
}

// StartTLS runs a server that speaks TLS only, for 127.0.0.1 and localhost, and
// lets in whom its authority has given a certificate. The test is skipped where
// the server was built without TLS; under CI that is a failure unless another
// server was asked for.
func StartTLS(t testing.TB, args ...string) (*Server, *Authority) {
	t.Helper()
	s := newServer(t, freePort(t))
	if out, _ := exec.Command(s.program, "--port", "0", "--tls-port", "1").CombinedOutput(); !strings.Contains(string(out), "tls-cert-file") { //nolint:gosec // a test's own arguments
		if os.Getenv("CI") == "true" && os.Getenv(Variable) == "" {
			t.Fatalf("%s was built without TLS: %s", s.program, out)
		}
		t.Skipf("%s was built without TLS", s.program)
	}
	a := newAuthority(t)
	s.TLS = a.Client()
	s.serve(append([]string{
		"--tls-ca-cert-file", a.CAFile, "--tls-cert-file", a.server, "--tls-key-file", a.serverKey, "--tls-auth-clients", "yes",
	}, args...)...)
	return s, a
}

func newAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{pool: x509.NewCertPool()}
	dir := t.TempDir()
	a.CAFile, _ = a.sign(t, dir, "ca")
	a.pool.AddCert(a.certificate)
	a.server, a.serverKey = a.sign(t, dir, "server")
	a.CertFile, a.KeyFile = a.sign(t, dir, "client")
	var err error
	if a.client, err = tls.LoadX509KeyPair(a.CertFile, a.KeyFile); err != nil {
		t.Fatal(err)
	}
	return a
}

// sign makes a certificate and its key; the first one is the authority's own.
func (a *Authority) sign(t testing.TB, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, parentKey := a.certificate, a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate == nil {
		a.key = key
		if a.certificate, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{certFile, "CERTIFICATE", der}, {keyFile, "PRIVATE KEY", private}} {
		if err := os.WriteFile(f.name, pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
