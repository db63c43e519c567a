package certs

import (
	"context"
	"errors"
	"path"
	"time"

	"github.com/caddyserver/certmagic"
)

// oneAccount is a storage for an issuer without an e-mail address. It hides the
// list of accounts.
//
// Without an address, certmagic looks for the account that was used last. While
// another name's account is being stored, it finds the account's folder,
// "default", but no key in it; it then takes "default" for an e-mail address
// and registers a second account, which replaces the first one's files. The
// authority refuses to renew the first certificate for that account. Without
// the list, certmagic keeps to the address that it was given: none.
type oneAccount struct{ certmagic.Storage }

func (s oneAccount) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	if path.Base(prefix) == "users" {
		return nil, nil
	}
	return s.Storage.List(ctx, prefix, recursive)
}

// TryLock passes on what certmagic asks of a storage by a type assertion. Files
// and Redis both have it.
func (s oneAccount) TryLock(ctx context.Context, name string) (bool, error) {
	if l, ok := s.Storage.(certmagic.TryLocker); ok {
		return l.TryLock(ctx, name)
	}
	return false, errors.New("the storage cannot try a lock")
}

// RenewLockLease does the same. Locks in files have no lease.
func (s oneAccount) RenewLockLease(ctx context.Context, name string, lease time.Duration) error {
	if l, ok := s.Storage.(certmagic.LockLeaseRenewer); ok {
		return l.RenewLockLease(ctx, name, lease)
	}
	return nil
}
