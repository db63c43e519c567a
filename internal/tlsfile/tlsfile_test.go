package tlsfile

import (
	"os"
	"path/filepath"
	"testing"

	"powerjob-shim/internal/testca"
)

// Each error names the file, says what is wrong, and what to write.
func TestErrorsNameTheFileAndTheCure(t *testing.T) {
	ca := testca.New(t)
	cert, key := ca.Leaf(t, "a.test")
	_, other := ca.Leaf(t, "a.test")
	t.Chdir(t.TempDir())
	for name, content := range map[string][]byte{"ca.crt": ca.PEM, "tls.crt": cert, "tls.key": key, "other.key": other, "text": []byte("nothing")} {
		if err := os.WriteFile(filepath.Clean(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := func(file string) error { _, err := Roots(file); return err }
	pair := func(cert, key string) error { _, err := Pair(cert, key); return err }
	for _, c := range []struct {
		got  error
		want string
	}{
		{roots("ca.crt"), ""},
		{roots("none"), "none cannot be read: no such file or directory"},
		{roots("text"), "text has no certificate in PEM; write one or more, each from -----BEGIN CERTIFICATE----- to its END"},
		{pair("tls.crt", "tls.key"), ""},
		{pair("none", "tls.key"), "none cannot be read: no such file or directory"},
		{pair("tls.crt", "none"), "none cannot be read: no such file or directory"},
		{pair("tls.crt", "other.key"), "tls.crt with other.key: tls: private key does not match public key; write a certificate chain and its key in PEM"},
		{Readable("tls.crt"), ""},
		{Readable("none"), "none cannot be read: no such file or directory"},
	} {
		got := ""
		if c.got != nil {
			got = c.got.Error()
		}
		if got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}
