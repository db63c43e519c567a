package certs

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"powerjob-shim/internal/await"
)

// halfStored stops the first account between its two files until the second
// name wants to register one too, and holds the second name back until then.
type halfStored struct {
	*certmagic.FileStorage
	half, looked chan struct{}
	first        sync.Once

	mu          sync.Mutex // protects registering
	registering []string   // the locks under which accounts were to be made
}

func (s *halfStored) Store(ctx context.Context, key string, value []byte) error {
	err := s.FileStorage.Store(ctx, key, value)
	if strings.Contains(key, "/users/") && strings.HasSuffix(key, ".json") {
		s.first.Do(func() {
			close(s.half)
			<-s.looked
		})
	}
	return err
}

func (s *halfStored) Lock(ctx context.Context, name string) error {
	if strings.HasSuffix(name, "two.test") {
		<-s.half
	}
	if strings.HasPrefix(name, "register_acme_account") {
		s.mu.Lock()
		s.registering = append(s.registering, name)
		if len(s.registering) == 2 {
			close(s.looked)
		}
		s.mu.Unlock()
	}
	return s.FileStorage.Lock(ctx, name)
}

// Two names without an e-mail address, the second of which comes while the
// first one's account is half stored, have one account.
func TestNamesWithoutAnAddressShareOneAccount(t *testing.T) {
	t.Parallel()
	ca := newPebble(t)
	https, plain := listenTwice(t)
	if err := ca.Start(port(plain.Addr()), port(https.Addr()), time.Hour); err != nil {
		t.Fatal(err)
	}
	storage := &halfStored{FileStorage: &certmagic.FileStorage{Path: t.TempDir()}, half: make(chan struct{}), looked: make(chan struct{})}
	// Another listener's address, which certmagic remembers for the whole process.
	other := certmagic.NewACMEIssuer(certmagic.NewDefault(), certmagic.ACMEIssuer{Email: "other@example.test"})
	if err := other.PreCheck(t.Context(), []string{"other.test"}, false); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, https, plain, Settings{ACME: &ACME{
		Domains: []string{"one.test", "two.test"}, CA: ca.Directory, CARoot: ca.Root, Profile: "default", TLSALPN01: true, Shared: storage,
	}})
	await.That(t, "both have certificates", func() bool { return s.signed("one.test") != nil && s.signed("two.test") != nil })
	if n := ca.Count("POST /sign-me-up"); n != 1 {
		t.Errorf("%d accounts were made, not 1", n)
	}
	// Only names that agree on the lock wait for each other.
	if got := storage.registering; len(got) != 2 || got[0] != "register_acme_account" || got[1] != got[0] {
		t.Errorf("accounts were to be made under the locks %q", got)
	}
}
