package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	der, key := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}, a)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.key = key
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func sign(t *testing.T, template *x509.Certificate, by *authority) (der []byte, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, parentKey := by.cert, by.key
	if parent == nil {
		parent, parentKey = template, key
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey); err != nil {
		t.Fatal(err)
	}
	return der, key
}

// issue writes a certificate for name, and its key.
func (a *authority) issue(t *testing.T, name, certFile, keyFile string) {
	t.Helper()
	der, key := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestServersAreReachedOverTLS(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	ca, other := newAuthority(t), newAuthority(t)
	ca.issue(t, "powerjob.test", in("server.crt"), in("server.key"))
	ca.issue(t, "the-shim", in("client.crt"), in("client.key"))
	other.issue(t, "the-shim", in("stranger.crt"), in("stranger.key"))
	write(t, in("ca.pem"), ca.pem)
	write(t, in("other.pem"), other.pem)

	pair, err := tls.LoadX509KeyPair(in("server.crt"), in("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	seen := make(chan string, 10)
	up := newUnstartedUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Proto + " " + r.TLS.NegotiatedProtocol + " " + r.TLS.PeerCertificates[0].Subject.CommonName
		_, _ = io.WriteString(w, okBody)
	})
	up.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	up.EnableHTTP2 = true
	up.Config.ErrorLog = log.New(io.Discard, "", 0)
	up.StartTLS()

	right := UpstreamTLS{CAFile: in("ca.pem"), ServerName: "powerjob.test", CertFile: in("client.crt"), KeyFile: in("client.key")}
	for _, c := range []struct {
		name   string
		change func(*UpstreamTLS)
		want   int
		says   string
	}{
		{"all is right", func(*UpstreamTLS) {}, 200, okBody},
		{"another CA", func(u *UpstreamTLS) { u.CAFile = in("other.pem") }, 502, "its certificate is not trusted"},
		{"the system's roots", func(u *UpstreamTLS) { u.CAFile = "" }, 502, "its certificate is not trusted"},
		{"another name", func(u *UpstreamTLS) { u.ServerName = "" }, 502, "its certificate is not trusted"},
		{"no client certificate", func(u *UpstreamTLS) { u.CertFile, u.KeyFile = "", "" }, 502, "127.0.0.1"},
		{"a stranger's certificate", func(u *UpstreamTLS) { u.CertFile, u.KeyFile = in("stranger.crt"), in("stranger.key") }, 502, "127.0.0.1"},
	} {
		settings := settingsFor(t, up.URL)
		u := settings.Upstreams["default"]
		u.TLS = right
		c.change(&u.TLS)
		settings.Upstreams["default"] = u
		s := newShim(t, settings)
		got := raw(t, s.addr, request("POST", "/openApi/saveJob", "{}"))
		if statusOf(got) != c.want || !strings.Contains(got, c.says) {
			t.Errorf("%s: the client got %q", c.name, got)
		}
		if c.want == 200 {
			if saw := <-seen; saw != "HTTP/1.1  the-shim" {
				t.Errorf("%s: the server saw %q", c.name, saw)
			}
		}
		select {
		case saw := <-seen:
			t.Errorf("%s: the server got a request from %q", c.name, saw)
		default:
		}
	}
}

func TestUnreadableTLSFilesStopTheStart(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	write(t, empty, []byte("nothing"))
	for _, c := range []struct {
		tls  UpstreamTLS
		want string
	}{
		{UpstreamTLS{CAFile: empty}, "upstreams.default: tls: " + empty + " has no certificate"},
		{UpstreamTLS{CAFile: empty + ".none"}, "no such file"},
		{UpstreamTLS{CertFile: empty, KeyFile: empty}, "failed to find any PEM data"},
	} {
		settings := settingsFor(t, "https://127.0.0.1:1")
		u := settings.Upstreams["default"]
		u.TLS = c.tls
		settings.Upstreams["default"] = u
		if _, err := New(Options{}, settings); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New returned %v, want %q", err, c.want)
		}
	}
}

func TestRenewedFilesCountForTheNextConnection(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key")
	ca := newAuthority(t)
	ca.issue(t, "first", cert, key)
	d := &tlsDialer{settings: UpstreamTLS{CertFile: cert, KeyFile: key}}
	name := func() string {
		t.Helper()
		config, err := d.config()
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(config.Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.Subject.CommonName
	}
	if got := name(); got != "first" {
		t.Errorf("got %s, want first", got)
	}
	ca.issue(t, "second", cert, key)
	if got := name(); got != "second" {
		t.Errorf("got %s, want second", got)
	}
	write(t, key, []byte("half a fi")) // being written
	if got := name(); got != "second" {
		t.Errorf("with a broken file, got %s, want second", got)
	}
}
