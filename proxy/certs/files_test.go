package certs

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/testca"
)

const soon = 5 * time.Millisecond

func TestTheNameChoosesTheCertificate(t *testing.T) {
	ca, dir := testca.New(t), t.TempDir()
	pair := func(file string, names ...string) KeyPair {
		cert, key := ca.Leaf(t, names...)
		return write(t, dir, file, cert, key)
	}
	src, addr := run(t, Settings{Files: []KeyPair{
		pair("first", "first.test"), pair("wild", "*.jobs.test"), pair("exact", "a.jobs.test", "b.test"),
	}})
	for name, want := range map[string]string{
		"first.test": "first.test", "b.test": "a.jobs.test", "A.jobs.test": "a.jobs.test", "c.jobs.test": "*.jobs.test",
		"unknown.test": "first.test", "": "first.test",
	} {
		if got := served(t, addr, name).DNSNames[0]; got != want {
			t.Errorf("%q gets the certificate for %s, want %s", name, got, want)
		}
	}
	var names []string
	for _, e := range src.Expiries() {
		if left := time.Until(e.NotAfter); left < 23*time.Hour || left > 24*time.Hour {
			t.Errorf("%s: %v left", e.Name, left)
		}
		names = append(names, e.Name)
	}
	if got := strings.Join(names, " "); got != "first.test *.jobs.test a.jobs.test b.test" {
		t.Errorf("expiries of %s", got)
	}
}

func TestChangedFilesAreServedAndBadOnesAreNot(t *testing.T) {
	ca, dir := testca.New(t), t.TempDir()
	cert, key := ca.Leaf(t, "old.test")
	pair := write(t, dir, "tls", cert, key)
	s, logs := logged(Settings{Files: []KeyPair{pair}, poll: soon})
	_, addr := run(t, s)
	serves := func(name string) func() bool {
		return func() bool { return served(t, addr, "").DNSNames[0] == name }
	}
	newCert, newKey := ca.Leaf(t, "new.test")
	put(t, pair.Cert, newCert) // and for a while the key does not belong to it
	await.That(t, "the mismatch is logged", func() bool { return logs.FilterMessage("loading certificates, the old ones stay").Len() == 1 })
	if !serves("old.test")() {
		t.Error("the old certificate is gone")
	}
	put(t, pair.Key, newKey)
	await.That(t, "the new certificate is served", serves("new.test"))

	if err := os.Remove(pair.Key); err != nil {
		t.Fatal(err)
	}
	await.That(t, "the missing file is logged", func() bool { return logs.FilterMessage("reading certificates, the old ones stay").Len() == 1 })
	if !serves("new.test")() {
		t.Error("the certificate went with its file")
	}
	write(t, dir, "tls", cert, key)
	await.That(t, "the files that came back are served", serves("old.test"))
	if n := logs.FilterMessage("reading certificates, the old ones stay").Len(); n != 1 {
		t.Errorf("the missing file was logged %d times", n)
	}
}

func TestASwappedDirectoryLinkIsNoticed(t *testing.T) {
	ca, dir := testca.New(t), t.TempDir()
	volume := func(version, name string) {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		cert, key := ca.Leaf(t, name)
		write(t, filepath.Join(dir, version), "tls", cert, key)
		if err := os.Symlink(version, filepath.Join(dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	volume("..1", "old.test")
	_, addr := run(t, Settings{Files: []KeyPair{{filepath.Join(dir, "..data", "tls.crt"), filepath.Join(dir, "..data", "tls.key")}}, poll: soon})
	volume("..2", "new.test")
	await.That(t, "the new certificate is served", func() bool { return served(t, addr, "").DNSNames[0] == "new.test" })
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	ca, dir := testca.New(t), t.TempDir()
	cert, key := ca.Leaf(t, "a.test")
	pair := write(t, dir, "tls", cert, key)
	_, other := ca.Leaf(t, "b.test")
	mismatch := write(t, dir, "mismatch", cert, other)
	file := filepath.Join(dir, "file")
	put(t, file, []byte("nothing"))
	for want, s := range map[string]Settings{
		"no certificates: neither files, self-signed nor acme": {},
		"missing.crt cannot be read: no such file":             {Files: []KeyPair{{dir + "/missing.crt", pair.Key}}},
		"private key does not match public key":                {Files: []KeyPair{pair, mismatch}},
		"loading the clients' CA: ":                            {Files: []KeyPair{pair}, ClientCA: file},
		"loading the root of the ACME server: ":                {ACME: &ACME{Domains: []string{"a.test"}, Storage: dir, CARoot: file}},
		"opening the certificates' storage: ":                  {ACME: &ACME{Domains: []string{"a.test"}, Storage: file}},
	} {
		if _, err := Open(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestClientsNeedACertificateOfTheCAAndTheCAMayChange(t *testing.T) {
	ca, otherCA, dir := testca.New(t), testca.New(t), t.TempDir()
	cert, key := ca.Leaf(t, "a.test")
	pair := write(t, dir, "tls", cert, key)
	trusted := filepath.Join(dir, "clients.crt")
	put(t, trusted, ca.PEM)
	_, addr := run(t, Settings{Files: []KeyPair{pair}, ClientCA: trusted, poll: soon})
	accepted := func(by *testca.Authority) bool {
		cfg := &tls.Config{InsecureSkipVerify: true}
		if by != nil {
			own, err := tls.X509KeyPair(by.Leaf(t, "client"))
			if err != nil {
				t.Fatal(err)
			}
			cfg.Certificates = []tls.Certificate{own}
		}
		_, err := shake(addr, cfg)
		return err == nil
	}
	if accepted(nil) || accepted(otherCA) || !accepted(ca) {
		t.Errorf("without: %t, another CA's: %t, the CA's: %t", accepted(nil), accepted(otherCA), accepted(ca))
	}
	put(t, trusted, otherCA.PEM)
	await.That(t, "the new CA counts", func() bool { return accepted(otherCA) && !accepted(ca) })
}

func TestOldVersionsOfTLSAreRefused(t *testing.T) {
	cert, key := testca.New(t).Leaf(t, "a.test")
	pair := write(t, t.TempDir(), "tls", cert, key)
	for lowest, refused := range map[uint16]uint16{0: tls.VersionTLS11, tls.VersionTLS13: tls.VersionTLS12} {
		_, addr := run(t, Settings{Files: []KeyPair{pair}, MinVersion: lowest})
		cfg := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: refused}
		if _, err := shake(addr, cfg); err == nil {
			t.Errorf("%s was accepted", tls.VersionName(refused))
		}
		cfg.MaxVersion = refused + 1
		if _, err := shake(addr, cfg); err != nil {
			t.Errorf("%s: %v", tls.VersionName(refused+1), err)
		}
	}
}

func TestOnlyACMEOffersItsProtocol(t *testing.T) {
	src, err := Open(Settings{SelfSigned: &SelfSigned{}})
	if err != nil {
		t.Fatal(err)
	}
	if got := src.TLSConfig().NextProtos; len(got) != 1 || got[0] != "http/1.1" {
		t.Errorf("got %q", got)
	}
	if src.Challenge(nil, nil) {
		t.Error("it answers challenges")
	}
}
