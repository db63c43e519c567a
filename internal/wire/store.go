package wire

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"powerjob-shim/internal/config"
	"powerjob-shim/internal/store/redislog"
	"powerjob-shim/proxy"
	"powerjob-shim/proxy/certs/redisstore"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/dedup"
)

// storeReadTimeout is how long a start waits for Redis. After it the start goes on
// without Redis.
const storeReadTimeout = 3 * time.Second

// UseStore sets the store that replicas share in the proxy's options, if the
// configuration asks for one; otherwise the proxy makes its own, in memory. Call stop
// when the proxy has ended.
func UseStore(ctx context.Context, o *proxy.Options, cfg *config.Config) (stop func(), err error) {
	if cfg.Dedup.Store != config.StoreRedis {
		return func() {}, nil
	}
	client, err := redisClient(&cfg.Dedup.Redis, cfg.Dedup.Redis.Timeout, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("dedup.redis.tls: %w", err)
	}
	s := redislog.New(redislog.Options{
		Client: client, Prefix: cfg.Dedup.Redis.KeyPrefix, Secrets: keySecrets(&cfg.Dedup.Redis),
		Timeout: cfg.Dedup.Redis.Timeout, Limits: limits(cfg), Logger: o.Logger,
		Failed: func(operation string) { o.Metrics.StoreErrors.WithLabelValues(operation).Inc() },
	})
	ctx, cancel := context.WithTimeout(ctx, storeReadTimeout)
	defer cancel()
	s.Open(ctx, slices.Sorted(maps.Keys(cfg.Upstreams))...)
	o.Store, o.Tokens = s, s
	return func() {
		s.Close()
		_ = client.Close() // nothing more is sent to Redis
	}, nil
}

func limits(cfg *config.Config) dedup.Limits {
	return dedup.Limits{Entries: cfg.Dedup.MaxEntries, Bytes: int64(cfg.Dedup.MaxBytes)}
}

// sharedCertificates returns certmagic's storage in Redis. Its connections stay open
// until the process ends, since certificates are served until then.
func sharedCertificates(c *config.Redis, log *zap.Logger) (*redisstore.Storage, error) {
	const timeout = 5 * time.Second // no request waits for it
	client, err := redisClient(c, timeout, log)
	if err != nil {
		return nil, err
	}
	return redisstore.New(redisstore.Options{
		Client: client, Prefix: c.KeyPrefix, Secrets: keySecrets(c), Timeout: timeout, Logger: log,
	}), nil
}

func redisClient(c *config.Redis, timeout time.Duration, log *zap.Logger) (redis.UniversalClient, error) {
	redis.SetLogger(redisLogger{log})
	connection := redislog.Connection{
		Addresses: c.Addresses, Cluster: c.Cluster, MasterName: c.MasterName, Username: c.Username,
		SentinelUsername: c.SentinelUsername,
		Timeout:          timeout, Dial: new(connect.Dialer).DialContext,
	}
	if c.Password != "" {
		connection.Password = passwords(c.Password, c.PasswordFile)
	}
	if c.SentinelPassword != "" {
		connection.SentinelPassword = passwords(c.SentinelPassword, c.SentinelPasswordFile)
	}
	if c.TLS != nil {
		files := connect.TLSFiles(*c.TLS)
		if err := files.Check(); err != nil {
			return nil, err
		}
		connection.TLS = connect.NewTLS(files).Config
	}
	return redislog.Connect(connection), nil
}

// redisLogger writes go-redis' own messages, about sentinels and pools, at level
// debug. The store itself logs failures.
type redisLogger struct{ log *zap.Logger }

// Printf implements go-redis' logging interface.
func (l redisLogger) Printf(_ context.Context, format string, v ...any) {
	l.log.Debug("redis", zap.String("detail", fmt.Sprintf(format, v...)))
}
