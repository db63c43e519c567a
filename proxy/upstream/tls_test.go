package upstream

import (
	"crypto/x509"
	"os"
	"path/filepath"
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
		config, err := d.config("powerjob.test")
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
