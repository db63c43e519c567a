package redislog

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"powerjob-shim/internal/redistest"
	"powerjob-shim/internal/store"
	"powerjob-shim/internal/store/storetest"
)

func TestARealServerIsAStore(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T, n int) []store.Store {
		return replicas(t, n, func() redis.UniversalClient { return client(t, server.Addr) }, nil)
	})
}

func TestARealServerIsAStoreWithHashedKeys(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T, n int) []store.Store {
		return replicas(t, n, func() redis.UniversalClient { return client(t, server.Addr) },
			func(o *Options) { o.Secrets = keyed("0123456789abcdef0123456789abcdef") })
	})
}

func TestASentinelSetIsAStore(t *testing.T) {
	set := redistest.StartSentinels(t, 1)
	storetest.Run(t, func(t *testing.T, n int) []store.Store {
		return replicas(t, n, func() redis.UniversalClient {
			return Connect(Connection{Addresses: set.Addrs(), MasterName: set.Name})
		}, nil)
	})
}

// needed is what docs/scaling.md says that an ACL user needs.
var needed = []any{"on", ">secret", "~*", "-@all", "+eval", "+evalsha", "+xadd", "+xrange", "+pexpire", "+del", "+time", "+get", "+set", "+ping", "+hello", "+auth"}

func TestAClusterIsAStore(t *testing.T) {
	nodes := redistest.StartCluster(t)
	for _, n := range nodes {
		args := append([]any{"ACL", "SETUSER", "shim"}, needed...)
		mustDo(t, n, append(args, "+cluster|slots", "+command", "+readonly")...)
	}
	storetest.Run(t, func(t *testing.T, n int) []store.Store {
		return replicas(t, n, func() redis.UniversalClient {
			return Connect(Connection{Addresses: redistest.Addrs(nodes), Username: "shim", Password: password("secret")})
		}, nil)
	})
}

func TestAServerThatWantsAUserIsAStore(t *testing.T) {
	server := redistest.Start(t)
	mustDo(t, server, append([]any{"ACL", "SETUSER", "shim"}, needed...)...)
	mustDo(t, server, "ACL", "SETUSER", "default", "off")
	storetest.Run(t, func(t *testing.T, n int) []store.Store {
		return replicas(t, n, func() redis.UniversalClient {
			return Connect(Connection{Addresses: []string{server.Addr}, Username: "shim", Password: password("secret")})
		}, nil)
	})
}
