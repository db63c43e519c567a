package proxy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"powerjob-shim/internal/redistest"
	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/standin/legacy"
	"powerjob-shim/internal/store/redislog"
)

// older makes a connection to Redis that of a replica of the release before: the
// entries that it writes have another version, and so have all that it cannot
// read.
type older struct{ current atomic.Int32 }

const olderVersion = 1

// ProcessHook implements redis.Hook. Entries are the arguments of a script from
// the eighth on, and stand in its answer as [now, own, [[id, [field, entry]]...]].
func (o *older) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		args := cmd.Args()
		for i := 7; i < len(args); i++ {
			if entry, ok := args[i].([]byte); ok && len(entry) > 0 && entry[0] != olderVersion {
				o.current.Store(int32(entry[0]))
				entry = bytes.Clone(entry)
				entry[0] = olderVersion
				args[i] = entry
			}
		}
		err := next(ctx, cmd)
		if script, ok := cmd.(*redis.Cmd); ok && err == nil {
			if page, ok := script.Val().([]any); ok && len(page) == 3 {
				o.swap(page[2])
			}
		}
		return err
	}
}

func (o *older) swap(entries any) {
	list, _ := entries.([]any)
	for _, e := range list {
		fields := e.([]any)[1].([]any)
		switch entry := fields[1].(string); int32(entry[0]) {
		case olderVersion:
			fields[1] = string([]byte{byte(o.current.Load())}) + entry[1:]
		case o.current.Load():
			fields[1] = string([]byte{olderVersion}) + entry[1:]
		}
	}
}

// DialHook implements redis.Hook.
func (o *older) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessPipelineHook implements redis.Hook.
func (o *older) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestARollingUpdateLosesNoCall has two replicas of the release before and two of
// this one on one Redis; then the old ones stop.
func TestARollingUpdateLosesNoCall(t *testing.T) {
	server, url := startLegacy(t, legacy.Options{})
	db := redistest.Start(t)
	shims := make([]*shim, 4)
	for i := range shims {
		conn := redislog.Connect(redislog.Connection{Addresses: []string{db.Addr}})
		if i < 2 {
			conn.AddHook(&older{})
		}
		store := redislog.New(redislog.Options{Client: conn, Prefix: "test:", Timeout: patience})
		t.Cleanup(func() {
			store.Close()
			_ = conn.Close()
		})
		shims[i] = newShimOn(t, dedupSettings(t, url), store, store)
	}
	caller := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 50}}
	defer caller.CloseIdleConnections()
	distinct := func(round string, shims []*shim) {
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				if d := post(t, caller, shims[i%len(shims)].addr, saveBody(0, fmt.Sprint(round, i))); d != "forwarded" {
					t.Errorf("call %d %s: %s", i, round, d)
				}
			})
		}
		wg.Wait()
	}
	distinct("beside each other ", shims)
	wantExecuted(t, server, "saveJob", 200)

	// Clients whose header is lost are helped by the replica that they use.
	for i, s := range shims {
		user := logIn(t, lowercasing(t, s.addr))
		for n := range 5 {
			must(t, user, "saveJob", client.Params{"jobName": fmt.Sprint("lossy ", i, n)})
		}
	}
	wantExecuted(t, server, "saveJob", 220)

	// Replicas of one release share what they know, those of two do not.
	for i, want := range []string{"forwarded", "replayed", "forwarded", "replayed"} {
		if d := post(t, caller, shims[i].addr, saveBody(0, "the same")); d != want {
			t.Errorf("replica %d: %s, want %s", i, d, want)
		}
	}
	wantExecuted(t, server, "saveJob", 222)

	for _, old := range shims[:2] {
		old.stop()
	}
	distinct("afterwards ", shims[2:])
	wantExecuted(t, server, "saveJob", 422)
}
