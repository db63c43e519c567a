package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/redis/go-redis/v9"

	"powerjob-shim/internal/redistest"
)

const patience = 10 * time.Second

func open(t *testing.T, addr string, change func(*Options)) *Storage {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	o := Options{Client: client, Prefix: "test:"}
	if change != nil {
		change(&o)
	}
	return New(o)
}

func secret(o *Options) { o.Secrets = secrets("k") }

// secrets are of 32 equal letters each, the newest first.
func secrets(letters ...string) func() [][]byte {
	var all [][]byte
	for _, l := range letters {
		all = append(all, []byte(strings.Repeat(l, 32)))
	}
	return func() [][]byte { return all }
}

// TestItDoesAsFilesDo does the same to certmagic's own storage and this one.
func TestItDoesAsFilesDo(t *testing.T) {
	server := redistest.Start(t)
	for name, change := range map[string]func(*Options){"plain": nil, "encrypted": secret} {
		t.Run(name, func(t *testing.T) {
			if _, err := server.Do("FLUSHALL"); err != nil {
				t.Fatal(err)
			}
			files, ours := &certmagic.FileStorage{Path: t.TempDir()}, open(t, server.Addr, change)
			ctx := t.Context()
			see := func(s certmagic.Storage) string {
				var b strings.Builder
				for _, key := range []string{"", "a", "a/b", "a/b/c.crt", "a/b/c.key", "a/bc", "ab", "x", "a/b/c"} {
					value, err := s.Load(ctx, key)
					missing := errors.Is(err, fs.ErrNotExist)
					info, _ := s.Stat(ctx, key)
					if key != "" { // a directory cannot be loaded; how that is told differs
						fmt.Fprintf(&b, "%s: %q %v %v %v", key, value, missing || !info.IsTerminal, s.Exists(ctx, key), info.IsTerminal)
						if info.IsTerminal {
							fmt.Fprintf(&b, " %d bytes, new %v", info.Size, time.Since(info.Modified) < time.Minute)
						}
					}
					for _, recursive := range []bool{false, true} {
						all, err := s.List(ctx, key, recursive)
						if info.IsTerminal { // files have nothing below them
							all, err = nil, nil
						}
						slices.Sort(all)
						fmt.Fprintf(&b, " %q %v", all, errors.Is(err, fs.ErrNotExist))
					}
					b.WriteByte('\n')
				}
				return b.String()
			}
			for i, do := range []func(s certmagic.Storage) error{
				func(s certmagic.Storage) error { return s.Store(ctx, "a/b/c.crt", []byte("one")) },
				func(s certmagic.Storage) error { return s.Store(ctx, "a/b/c.key", []byte{0, 255, '\n'}) },
				func(s certmagic.Storage) error { return s.Store(ctx, "a/bc", nil) },
				func(s certmagic.Storage) error { return s.Store(ctx, "ab", []byte("x")) },
				func(s certmagic.Storage) error { return s.Store(ctx, "a/b/c.crt", []byte("another")) },
				func(s certmagic.Storage) error { return s.Delete(ctx, "x") },
				func(s certmagic.Storage) error { return s.Delete(ctx, "ab") },
				func(s certmagic.Storage) error { return s.Delete(ctx, "a/b") },
			} {
				if err := do(files); err != nil {
					t.Fatal(err)
				}
				if err := do(ours); err != nil {
					t.Errorf("step %d: %v", i, err)
				}
				if got, want := see(ours), see(files); got != want {
					t.Errorf("step %d: redis\n%sfiles\n%s", i, got, want)
				}
			}
		})
	}
}

func TestFilesAreReadWithTheirSecretOnly(t *testing.T) {
	server := redistest.Start(t)
	a := open(t, server.Addr, secret)
	if err := a.Store(t.Context(), "k", []byte("private key")); err != nil {
		t.Fatal(err)
	}
	raw, err := server.Do("HGETALL", a.files)
	if err != nil || strings.Contains(raw, "private") {
		t.Errorf("%q, %v", raw, err)
	}
	for name, change := range map[string]func(*Options){
		"none": nil, "another": func(o *Options) { o.Secrets = secrets("x") },
	} {
		if _, err := open(t, server.Addr, change).Load(t.Context(), "k"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s secret: %v", name, err)
		}
	}
	if got, err := open(t, server.Addr, secret).Load(t.Context(), "k"); err != nil || string(got) != "private key" {
		t.Errorf("%q, %v", got, err)
	}
}

// What was stored before a secret was rotated is read, and then stored with the new one.
func TestARotatedSecretReadsWhatTheOlderOneStored(t *testing.T) {
	server := redistest.Start(t)
	if err := open(t, server.Addr, secret).Store(t.Context(), "k", []byte("private key")); err != nil {
		t.Fatal(err)
	}
	onlyNew := open(t, server.Addr, func(o *Options) { o.Secrets = secrets("n") })
	if got, err := onlyNew.Load(t.Context(), "k"); err == nil {
		t.Errorf("the new secret alone reads %q", got)
	}
	rotated := open(t, server.Addr, func(o *Options) { o.Secrets = secrets("n", "k") })
	for _, s := range []*Storage{rotated, onlyNew} {
		if got, err := s.Load(t.Context(), "k"); err != nil || string(got) != "private key" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestOneAtATimeHoldsALock(t *testing.T) {
	server := redistest.Start(t)
	all := []*Storage{open(t, server.Addr, nil), open(t, server.Addr, nil)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	inside, done := 0, 0
	for i := range 6 {
		s := all[i%2]
		wg.Go(func() {
			if err := s.Lock(ctx, "name"); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			if inside++; inside != 1 {
				t.Errorf("%d hold the lock", inside)
			}
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			inside--
			done++
			mu.Unlock()
			if err := s.Unlock(ctx, "name"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if done != 6 {
		t.Errorf("%d held the lock", done)
	}
}

// renewed waits until a lock has more of its lease left than it had.
func renewed(t *testing.T, s *Storage, name string) {
	t.Helper()
	least := s.o.Lease
	for began := time.Now(); time.Since(began) < patience; time.Sleep(10 * time.Millisecond) {
		left, err := s.o.Client.PTTL(t.Context(), s.lockKey(name)).Result()
		if err != nil || left < 0 {
			t.Fatalf("the lock has %v left of its lease, %v", left, err)
		}
		if left > least {
			return
		}
		least = min(least, left)
	}
	t.Fatal("the lock is not renewed")
}

func TestALockIsRenewedWhileItIsHeldAndEndsWithItsReplica(t *testing.T) {
	server := redistest.Start(t)
	short := func(o *Options) { o.Lease = 3 * time.Second } // renewed each second: a busy machine may stall for two
	a, b := open(t, server.Addr, short), open(t, server.Addr, short)
	ctx := t.Context()
	if err := a.Lock(ctx, "name"); err != nil {
		t.Fatal(err)
	}
	renewed(t, a, "name")
	if ok, err := b.TryLock(ctx, "name"); ok || err != nil {
		t.Fatalf("another has it although it was renewed: %v, %v", ok, err)
	}
	if err := a.RenewLockLease(ctx, "name", time.Minute); err != nil {
		t.Error(err)
	}
	a.held["name"].stop() // as if it had died
	<-a.held["name"].ended
	if err := a.renew(ctx, "name", a.held["name"], a.o.Lease); err != nil {
		t.Error(err)
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := b.Lock(waiting, "name"); err != nil {
		t.Fatal(err)
	}
	// The dead one comes back and gives up what is not its own any more.
	if err := a.Unlock(ctx, "name"); err != nil {
		t.Error(err)
	}
	if ok, err := a.TryLock(ctx, "name"); ok || err != nil {
		t.Errorf("the lock of another was released: %v, %v", ok, err)
	}
	if err := b.Unlock(ctx, "name"); err != nil {
		t.Error(err)
	}
	if err := b.Unlock(ctx, "name"); err == nil {
		t.Error("unlocked twice")
	}
}

func TestLockingEndsWithItsContext(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.Addr, nil)
	if err := s.Lock(t.Context(), "name"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Lock(ctx, "name"); err == nil {
		t.Error("locked twice")
	}
	if err := s.Unlock(t.Context(), "name"); err != nil {
		t.Error(err)
	}
}

func TestWithoutRedisEverythingIsAnError(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.Addr, func(o *Options) { o.Timeout = 100 * time.Millisecond })
	server.Kill()
	ctx := t.Context()
	_, load := s.Load(ctx, "k")
	_, list := s.List(ctx, "", true)
	_, stat := s.Stat(ctx, "k")
	for what, err := range map[string]error{
		"load": load, "list": list, "stat": stat,
		"store": s.Store(ctx, "k", nil), "delete": s.Delete(ctx, "k"), "lock": s.Lock(ctx, "k"),
	} {
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s.Exists(ctx, "k") {
		t.Error("a file exists without Redis")
	}
}
