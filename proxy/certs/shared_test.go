package certs

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"powerjob-shim/internal/await"
	"powerjob-shim/internal/redistest"
	"powerjob-shim/proxy/certs/redisstore"
)

func TestReplicasThatShareARedisAskForACertificateOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ca := newPebble(t)
	const replicas = 2
	var sites [replicas]*site
	for i := range sites {
		client := redis.NewClient(&redis.Options{Addr: server.Addr, DisableIdentity: true})
		t.Cleanup(func() { _ = client.Close() })
		storage := redisstore.New(redisstore.Options{Client: client, Prefix: "test:"})
		https, plain := listenTwice(t)
		if i == 0 { // the name leads to this one, whoever asks
			if err := ca.Start(port(plain.Addr()), port(https.Addr()), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		sites[i] = newSite(t, https, plain, Settings{ACME: &ACME{
			Domains: []string{"shared.test"}, CA: ca.Directory, CARoot: ca.Root, Profile: "default", HTTP01: true, Shared: storage,
		}})
	}
	for _, s := range sites {
		await.That(t, "each has the certificate", func() bool { return s.signed("shared.test") != nil })
	}
	obtained := func() int { return sites[0].heard(Obtained) + sites[1].heard(Obtained) }
	await.That(t, "one has said so", func() bool { return obtained() > 0 })
	if a, b := sites[0].signed("shared.test"), sites[1].signed("shared.test"); a.SerialNumber.Cmp(b.SerialNumber) != 0 {
		t.Error("they have different certificates")
	}
	for _, s := range sites {
		s.stop() // nothing is counted any more
	}
	if n := obtained(); n != 1 || sites[0].proofs == 0 || sites[1].proofs > 0 {
		t.Errorf("%d obtained; challenges answered: %d and %d", n, sites[0].proofs, sites[1].proofs)
	}
}
