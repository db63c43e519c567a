package redislog

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/redistest"
	"powerjob-shim/rules/access"
)

func TestATokenIsKnownToAllReplicasUntilItEnds(t *testing.T) {
	server := redistest.Start(t)
	all := replicas(t, 2, func() redis.UniversalClient { return client(t, server.Addr) }, nil)
	a, b := all[0].(*Store), all[1].(*Store)
	want := access.KnownToken{App: "1", Name: "app1", Since: time.Now().UTC().Truncate(time.Millisecond)}
	a.KeepToken("default", access.Fingerprint("T"), want, time.Hour)
	if got, ok := b.FindToken("default", access.Fingerprint("T")); !ok || got != want {
		t.Errorf("found %+v, %v", got, ok)
	}
	if _, ok := b.FindToken("other", access.Fingerprint("T")); ok {
		t.Error("a token is known in another group")
	}
	if _, ok := b.FindToken("default", access.Fingerprint("U")); ok {
		t.Error("an unknown token is known")
	}
	if ttl, err := server.Do("PTTL", a.tokenKey("default", a.veil.token(access.Fingerprint("T")))); err != nil || len(ttl) != len("3600000") {
		t.Errorf("it ends in %s ms, %v", ttl, err)
	}
	a.KeepToken("default", access.Fingerprint("short"), want, 20*time.Millisecond)
	await.That(t, "it ends", func() bool {
		_, ok := b.FindToken("default", access.Fingerprint("short"))
		return !ok
	})
}

// keyed returns secrets, the newest first.
func keyed(secrets ...string) func() [][]byte {
	var all [][]byte
	for _, s := range secrets {
		all = append(all, []byte(s))
	}
	return func() [][]byte { return all }
}

func TestATokenIsFoundUnderAnOlderSecret(t *testing.T) {
	server := redistest.Start(t)
	store := func(secrets ...string) *Store {
		return replicas(t, 1, func() redis.UniversalClient { return client(t, server.Addr) },
			func(o *Options) { o.Secrets = keyed(secrets...) })[0].(*Store)
	}
	want := access.KnownToken{App: "1", Name: "app1", Since: time.Now().UTC().Truncate(time.Millisecond)}
	store("old").KeepToken("default", access.Fingerprint("T"), want, time.Hour)
	if got, ok := store("newest", "newer", "old").FindToken("default", access.Fingerprint("T")); !ok || got != want {
		t.Errorf("with the older secret: %+v, %v", got, ok)
	}
	if _, ok := store("newest").FindToken("default", access.Fingerprint("T")); ok {
		t.Error("found without the secret that it was kept with")
	}
}
