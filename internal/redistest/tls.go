package redistest

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"powerjob-shim/internal/testca"
)

// Authority is a test's own CA, with files of certificates that it has signed.
type Authority struct {
	CAFile            string
	CertFile, KeyFile string // a client's
	server, serverKey string
	pool              *x509.CertPool
	client            tls.Certificate
}

// Client returns the configuration of a client that the server accepts.
func (a *Authority) Client() *tls.Config {
	return &tls.Config{RootCAs: a.pool, Certificates: []tls.Certificate{a.client}, MinVersion: tls.VersionTLS12}
}

// Stranger returns the configuration of a client without a certificate.
func (a *Authority) Stranger() *tls.Config {
	return &tls.Config{RootCAs: a.pool, MinVersion: tls.VersionTLS12}
}

// StartTLS runs a server that speaks only TLS, for 127.0.0.1 and localhost, and
// accepts only clients with a certificate of its authority. If the server was built
// without TLS, the test is skipped; under CI it fails, unless Variable names another
// server.
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
	ca, dir := testca.New(t), t.TempDir()
	a := &Authority{CAFile: filepath.Join(dir, "ca.crt"), pool: ca.Pool()}
	if err := os.WriteFile(a.CAFile, ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	issue := func(name string, names ...string) (certFile, keyFile string) {
		certFile, keyFile = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
		ca.WriteLeaf(t, certFile, keyFile, names...)
		return certFile, keyFile
	}
	a.server, a.serverKey = issue("server", "localhost", "127.0.0.1")
	a.CertFile, a.KeyFile = issue("client", "client")
	var err error
	if a.client, err = tls.LoadX509KeyPair(a.CertFile, a.KeyFile); err != nil {
		t.Fatal(err)
	}
	return a
}
