package shared

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"powerjob-shim/internal/redistest"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/dedup/storetest"
)

func TestARealServerIsAStore(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T, n int) []dedup.Store {
		return replicas(t, n, func() redis.UniversalClient { return client(t, server.Addr) }, nil)
	})
}

func TestARealServerIsAStoreWithHashedKeys(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T, n int) []dedup.Store {
		return replicas(t, n, func() redis.UniversalClient { return client(t, server.Addr) },
			func(o *Options) { o.Secret = []byte("0123456789abcdef0123456789abcdef") })
	})
}

func TestASentinelSetIsAStore(t *testing.T) {
	set := redistest.StartSentinels(t, 1)
	storetest.Run(t, func(t *testing.T, n int) []dedup.Store {
		return replicas(t, n, func() redis.UniversalClient {
			return Connect(Connection{Addresses: set.Addrs(), MasterName: set.Name})
		}, nil)
	})
}

func TestAClusterIsAStore(t *testing.T) {
	nodes := redistest.StartCluster(t)
	storetest.Run(t, func(t *testing.T, n int) []dedup.Store {
		return replicas(t, n, func() redis.UniversalClient {
			return Connect(Connection{Addresses: redistest.Addrs(nodes)})
		}, nil)
	})
}

func TestAServerThatWantsAUserIsAStore(t *testing.T) {
	server := redistest.Start(t, "--user", "default", "off", "--user", "shim", "on", ">secret", "~*",
		"-@all", "+eval", "+evalsha", "+xadd", "+xrange", "+pexpire", "+del", "+time", "+ping", "+hello", "+auth")
	storetest.Run(t, func(t *testing.T, n int) []dedup.Store {
		return replicas(t, n, func() redis.UniversalClient {
			return Connect(Connection{Addresses: []string{server.Addr}, Username: "shim", Password: "secret"})
		}, nil)
	})
}
