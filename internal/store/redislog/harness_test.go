package redislog

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// patience bounds what should happen soon on a busy machine.
const patience = time.Minute

// client is one of a single server.
func client(t testing.TB, addr string) redis.UniversalClient {
	t.Helper()
	return Connect(Connection{Addresses: []string{addr}, Timeout: patience})
}

func TestMain(m *testing.M) {
	redis.SetLogger(silent{}) // failures are what is tested
	os.Exit(m.Run())
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
