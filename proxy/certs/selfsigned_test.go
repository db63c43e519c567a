package certs

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
)

func TestASelfSignedCertificateSurvivesARestart(t *testing.T) {
	settings := Settings{SelfSigned: &SelfSigned{Names: []string{"a.test", "*.b.test", "10.0.0.1"}, Storage: filepath.Join(t.TempDir(), "new")}}
	_, addr := run(t, settings)
	first := served(t, addr, "a.test")
	_, addr = run(t, settings)
	if again := served(t, addr, "a.test"); !again.Equal(first) {
		t.Error("there is another one after the restart")
	}
	roots := x509.NewCertPool()
	roots.AddCert(first)
	for _, name := range []string{"a.test", "x.b.test", "10.0.0.1"} {
		if _, err := shake(addr, &tls.Config{ServerName: name, RootCAs: roots, MinVersion: tls.VersionTLS12}); err != nil {
			t.Errorf("a client that trusts it asks for %s: %v", name, err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(settings.SelfSigned.Storage, "self-signed", "*"))
	if len(files) != 1 {
		t.Fatalf("the storage has %v", files)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestOtherNamesGetAnotherSelfSignedCertificate(t *testing.T) {
	dir := t.TempDir()
	a := newSelfSigned(SelfSigned{Names: []string{"a.test"}, Storage: dir}, zap.NewNop())
	b := newSelfSigned(SelfSigned{Names: []string{"a.test", "b.test"}, Storage: dir}, zap.NewNop())
	if a.file == b.file {
		t.Errorf("both are in %s", a.file)
	}
}

func TestASelfSignedCertificateNamesThisHostByDefault(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	leaf := newSelfSigned(SelfSigned{}, zap.NewNop()).current.Load().Leaf
	for _, name := range []string{"localhost", "127.0.0.1", "::1", host} {
		if err := leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
}

func TestASelfSignedCertificateIsRenewedWhenAThirdIsLeft(t *testing.T) {
	dir := t.TempDir()
	one := newSelfSigned(SelfSigned{Names: []string{"a.test"}, Storage: dir}, zap.NewNop())
	other := newSelfSigned(SelfSigned{Names: []string{"a.test"}, Storage: dir}, zap.NewNop())
	first := one.current.Load().Leaf
	if !first.Equal(other.current.Load().Leaf) {
		t.Error("two instances with one storage have two certificates")
	}
	for _, c := range []struct {
		after   time.Duration
		renewed bool
	}{{validity*2/3 - time.Hour, false}, {validity*2/3 + time.Hour, true}} {
		one.now = func() time.Time { return time.Now().Add(c.after) }
		one.refresh()
		if renewed := !one.current.Load().Leaf.Equal(first); renewed != c.renewed {
			t.Errorf("after %v: renewed %t, want %t", c.after, renewed, c.renewed)
		}
	}
	other.refresh()
	if !other.current.Load().Leaf.Equal(one.current.Load().Leaf) {
		t.Error("the other instance does not take the new one")
	}
}

func TestWithoutStorageASelfSignedCertificateIsKeptInMemory(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), nil)
	s, logs := logged(Settings{SelfSigned: &SelfSigned{Names: []string{"a.test"}, Storage: filepath.Join(dir, "file")}})
	src, addr := run(t, s)
	first := served(t, addr, "")
	src.keeper.(*selfSigned).refresh()
	if !served(t, addr, "").Equal(first) {
		t.Error("looking again made another one")
	}
	if logs.FilterLevelExact(zap.WarnLevel).Len() == 0 {
		t.Error("it is not said")
	}
	if got := src.Expiries(); len(got) != 1 || got[0].Name != "a.test" || !got[0].NotAfter.Equal(first.NotAfter) {
		t.Errorf("expiries %v", got)
	}
}

func TestABrokenStoredCertificateIsReplaced(t *testing.T) {
	dir := t.TempDir()
	k := newSelfSigned(SelfSigned{Names: []string{"a.test"}, Storage: dir}, zap.NewNop())
	put(t, k.file, []byte("half of it"))
	again := newSelfSigned(SelfSigned{Names: []string{"a.test"}, Storage: dir}, zap.NewNop())
	if again.current.Load() == nil {
		t.Fatal("there is none")
	}
	if _, err := again.stored(); err != nil {
		t.Error(err)
	}
}
