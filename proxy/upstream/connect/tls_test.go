package connect

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"powerjob-shim/internal/testca"
)

func TestRenewedFilesCountForTheNextConnection(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "client.crt"), filepath.Join(dir, "client.key")
	ca := testca.New(t)
	ca.WriteLeaf(t, cert, key, "first")
	d := NewTLS(TLSFiles{CertFile: cert, KeyFile: key})
	name := func() string {
		t.Helper()
		config, err := d.Config("powerjob.test")
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
	ca.WriteLeaf(t, cert, key, "second")
	if got := name(); got != "second" {
		t.Errorf("got %s, want second", got)
	}
	if err := os.WriteFile(key, []byte("half a fi"), 0o600); err != nil { // being written
		t.Fatal(err)
	}
	if got := name(); got != "second" {
		t.Errorf("with a broken file, got %s, want second", got)
	}
}

// keytool makes certificates that have only a CN, which Go takes for no name.
func TestAPinReplacesNameAndChain(t *testing.T) {
	ca := testca.New(t)
	certPEM, keyPEM := ca.Leaf(t, "another.name")
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { _ = c.(*tls.Conn).Handshake(); _, _ = c.Read(make([]byte, 1)); _ = c.Close() }()
		}
	}()
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	right := PinOf(leaf)
	for _, c := range []struct {
		pins []string
		says string // "": connected
	}{
		{nil, "its certificate is not trusted"},
		{[]string{right}, ""},
		{[]string{"AAAA", right}, ""},
		{[]string{"AAAA"}, "its key has the hash " + right},
	} {
		conn, err := NewServer(ln.Addr().String(), NewTLS(TLSFiles{PinSHA256: c.pins}), &Dialer{Limit: patience}).Dial(t.Context())
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(Problem(err), c.says) {
			t.Errorf("pins %v: %v", c.pins, err)
		}
	}
}
