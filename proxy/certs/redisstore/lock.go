package redisstore

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// lock is a lock that this Storage has taken and not yet released.
type lock struct {
	owner string             // the value in Redis; random, so that each lock has its own
	stop  context.CancelFunc // ends keep
	ended chan struct{}      // closed when keep has returned
}

// Both scripts act on a lock only while it still belongs to the owner, ARGV[1].
var (
	renewScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`)
	unlockScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)
)

var errNotHeld = errors.New("the lock is not held here any more")

func (s *Storage) lockKey(name string) string { return s.o.Prefix + "{certificates}:lock:" + name }

// TryLock implements certmagic.TryLocker.
func (s *Storage) TryLock(ctx context.Context, name string) (bool, error) {
	owner := cryptorand.Text()
	exchange, cancel := s.within(ctx)
	defer cancel()
	err := s.o.Client.SetArgs(exchange, s.lockKey(name), owner, redis.SetArgs{Mode: "NX", TTL: s.o.Lease}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &lock{owner: owner, stop: stop, ended: make(chan struct{})}
	s.mu.Lock()
	s.held[name] = l
	s.mu.Unlock()
	go s.keep(renewing, name, l)
	return true, nil
}

// Lock implements certmagic.Locker.
func (s *Storage) Lock(ctx context.Context, name string) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		ok, err := s.TryLock(ctx, name)
		switch {
		case ok:
			return nil
		case err != nil:
			return fmt.Errorf("locking %s: %w", name, err)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // replicas should not ask at the same time
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// keep renews the lease until Unlock, or until the lock turns out to be lost. ctx ends
// with Unlock.
func (s *Storage) keep(ctx context.Context, name string, l *lock) {
	defer close(l.ended)
	every := time.NewTicker(s.o.Lease / 3)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		if err := s.renew(ctx, name, l, s.o.Lease); err != nil && ctx.Err() == nil {
			s.o.Logger.Warn("a lock's lease cannot be renewed", zap.String("lock", name), zap.Error(err))
			if errors.Is(err, errNotHeld) {
				return
			}
		}
	}
}

// renew makes the lock's lease end after lease from now. It returns errNotHeld if the
// lock is lost.
func (s *Storage) renew(ctx context.Context, name string, l *lock, lease time.Duration) error {
	ctx, cancel := s.within(ctx)
	defer cancel()
	n, err := renewScript.Run(ctx, s.o.Client, []string{s.lockKey(name)}, l.owner, lease.Milliseconds()).Int()
	if err == nil && n == 0 {
		err = errNotHeld
	}
	return err
}

// RenewLockLease implements certmagic.LockLeaseRenewer.
func (s *Storage) RenewLockLease(ctx context.Context, name string, lease time.Duration) error {
	s.mu.Lock()
	l := s.held[name]
	s.mu.Unlock()
	if l == nil {
		return errNotHeld
	}
	return s.renew(ctx, name, l, lease)
}

// Unlock implements certmagic.Locker. If the lock was lost and somebody else holds it
// now, it stays theirs.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	l := s.held[name]
	delete(s.held, name)
	s.mu.Unlock()
	if l == nil {
		return errNotHeld
	}
	l.stop()
	<-l.ended
	ctx, cancel := s.within(context.WithoutCancel(ctx)) // release it even if ctx has ended
	defer cancel()
	return unlockScript.Run(ctx, s.o.Client, []string{s.lockKey(name)}, l.owner).Err()
}
