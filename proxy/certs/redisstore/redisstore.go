// Package redisstore keeps certmagic's files in Redis or Valkey. So replicas obtain each
// certificate only once, and each replica can answer a challenge.
//
//	storage := redisstore.New(redisstore.Options{Client: client, Prefix: "powerjob-shim:"})
//
// All files are fields of one hash: they are few and small, and operations on one key
// are atomic, on a Cluster too. Locks are keys with a lease. Redis needs persistence:
// an authority limits how often it issues certificates for a name, so they must not get
// lost.
package redisstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// Options configure a Storage.
type Options struct {
	Client redis.UniversalClient // not closed by the Storage
	Prefix string                // of every key in Redis
	// Secrets returns the secrets that encrypt the files (AES-256-GCM), private keys
	// among them. The first one encrypts, and must be the same on all replicas. Files
	// that were stored with one of the others, older secrets, can still be read, and
	// are then stored anew with the first. Secrets is called for each file. Nil, or no
	// secrets: files are stored unencrypted.
	Secrets func() [][]byte
	// Timeout bounds each exchange with Redis. No call waits for these exchanges.
	// Zero: 5 s.
	Timeout time.Duration
	// Lease is how long a lock outlives a replica that died holding it. Zero: 30 s.
	Lease  time.Duration
	Logger *zap.Logger // nil: nothing is logged
}

// Storage implements certmagic.Storage, TryLocker and LockLeaseRenewer. Safe for
// concurrent use. Make one with New.
type Storage struct {
	o     Options
	files string // the hash's key

	mu   sync.Mutex
	held map[string]*lock // guarded by mu; by the lock's name
}

var (
	_ certmagic.Storage          = (*Storage)(nil)
	_ certmagic.TryLocker        = (*Storage)(nil)
	_ certmagic.LockLeaseRenewer = (*Storage)(nil)
)

// New returns a Storage. It does not connect to Redis before it is used.
func New(o Options) *Storage {
	o.Timeout, o.Lease = cmp.Or(o.Timeout, 5*time.Second), cmp.Or(o.Lease, 30*time.Second)
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &Storage{o: o, files: o.Prefix + "{certificates}:files", held: map[string]*lock{}}
}

// seals returns a cipher for each secret, in the order of Options.Secrets. Nil: files
// are not encrypted.
func (s *Storage) seals() ([]cipher.AEAD, error) {
	if s.o.Secrets == nil {
		return nil, nil
	}
	var all []cipher.AEAD
	for _, secret := range s.o.Secrets() {
		// Derive a separate key: the same secret also hashes the dedup store's keys.
		derive := hmac.New(sha256.New, secret)
		_, _ = derive.Write([]byte("powerjob-shim certificates 1")) // a hash never fails
		block, err := aes.NewCipher(derive.Sum(nil))
		if err != nil {
			return nil, err
		}
		seal, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		all = append(all, seal)
	}
	return all, nil
}

// within returns a context for one exchange with Redis.
func (s *Storage) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.o.Timeout)
}

// A stored file is one byte for its form, its time of change in Unix milliseconds
// (8 bytes, big-endian), and its content. In the sealed form, the content is a nonce and
// the ciphertext; form, time and the file's key are authenticated with it.
const (
	stampBytes = 8
	plainForm  = 0
	sealedForm = 1
)

// encode returns the stored form of a file.
func (s *Storage) encode(key string, value []byte, changed time.Time) ([]byte, error) {
	b := binary.BigEndian.AppendUint64([]byte{plainForm}, uint64(changed.UnixMilli()))
	seals, err := s.seals()
	if err != nil {
		return nil, err
	}
	if len(seals) == 0 {
		return append(b, value...), nil
	}
	b[0] = sealedForm
	nonce := make([]byte, seals[0].NonceSize())
	_, _ = rand.Read(nonce) // it never fails
	return seals[0].Seal(append(b, nonce...), nonce, value, s.sealedWith(key, b)), nil
}

// sealedWith returns the additional data that a sealed file authenticates: the form and
// time at the start of head, and the file's key.
func (s *Storage) sealedWith(key string, head []byte) []byte {
	return append(bytes.Clone(head[:1+stampBytes]), key...)
}

// decode returns a stored file's content and time of change. old: it was sealed with a
// secret other than the first.
func (s *Storage) decode(key string, b []byte) (value []byte, changed time.Time, old bool, err error) {
	if len(b) < 1+stampBytes || b[0] > sealedForm {
		return nil, changed, false, fmt.Errorf("reading %s: it is not a stored file", key)
	}
	changed = time.UnixMilli(int64(binary.BigEndian.Uint64(b[1:])))
	value = b[1+stampBytes:]
	if b[0] == plainForm {
		return value, changed, false, nil
	}
	seals, err := s.seals()
	if err != nil {
		return nil, changed, false, err
	}
	if len(seals) == 0 || len(value) < seals[0].NonceSize() {
		return nil, changed, false, fmt.Errorf("reading %s: it is encrypted, and there is no secret", key)
	}
	n := seals[0].NonceSize()
	var open []byte
	for i, seal := range seals {
		if open, err = seal.Open(nil, value[:n], value[n:], s.sealedWith(key, b)); err == nil {
			return open, changed, i > 0, nil
		}
	}
	return nil, changed, false, fmt.Errorf("reading %s: it was encrypted with another secret: %w", key, err)
}

// Store implements certmagic.Storage.
func (s *Storage) Store(ctx context.Context, key string, value []byte) error {
	return s.put(ctx, key, value, time.Now())
}

// put stores a file with a given time of change.
func (s *Storage) put(ctx context.Context, key string, value []byte, changed time.Time) error {
	content, err := s.encode(key, value, changed)
	if err != nil {
		return err
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	return s.o.Client.HSet(ctx, s.files, key, content).Err()
}

// load returns a file and its time of change. The error wraps fs.ErrNotExist if there is
// no such file.
func (s *Storage) load(ctx context.Context, key string) ([]byte, time.Time, error) {
	asking, cancel := s.within(ctx)
	defer cancel()
	b, err := s.o.Client.HGet(asking, s.files, key).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, time.Time{}, fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	value, changed, old, err := s.decode(key, b)
	if old {
		_ = s.put(ctx, key, value, changed) // if this fails, the next read tries again
	}
	return value, changed, err
}

// Load implements certmagic.Storage.
func (s *Storage) Load(ctx context.Context, key string) ([]byte, error) {
	value, _, err := s.load(ctx, key)
	return value, err
}

// below returns the files in a directory, at any depth; "" is the root.
func (s *Storage) below(ctx context.Context, dir string) ([]string, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	keys, err := s.o.Client.HKeys(ctx, s.files).Result()
	if dir != "" {
		keys = slices.DeleteFunc(keys, func(k string) bool { return !strings.HasPrefix(k, dir+"/") })
	}
	return keys, err
}

// Delete implements certmagic.Storage. With a directory it deletes all files in it.
func (s *Storage) Delete(ctx context.Context, key string) error {
	files, err := s.below(ctx, key)
	if err != nil {
		return err
	}
	ctx, cancel := s.within(ctx)
	defer cancel()
	return s.o.Client.HDel(ctx, s.files, append(files, key)...).Err()
}

// Exists implements certmagic.Storage.
func (s *Storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List implements certmagic.Storage. Like certmagic's own FileStorage it
// returns directories too.
func (s *Storage) List(ctx context.Context, dir string, recursive bool) ([]string, error) {
	files, err := s.below(ctx, dir)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 && dir != "" {
		return nil, fmt.Errorf("%s: %w", dir, fs.ErrNotExist)
	}
	start := 0
	if dir != "" {
		start = len(dir) + 1
	}
	var all []string
	for _, file := range files {
		keys := keysOf(file, start)
		if !recursive {
			keys = keys[:1]
		}
		all = append(all, keys...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// keysOf returns the directories on the way to a file, from start on, and the file.
func keysOf(file string, start int) (keys []string) {
	for end := strings.IndexByte(file[start:], '/'); end >= 0; end = strings.IndexByte(file[start:], '/') {
		keys = append(keys, file[:start+end])
		start += end + 1
	}
	return append(keys, file)
}

// Stat implements certmagic.Storage. For a directory it returns only the key.
func (s *Storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, changed, err := s.load(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: changed, Size: int64(len(value)), IsTerminal: true}, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		files, listErr := s.below(ctx, key)
		if listErr != nil {
			return certmagic.KeyInfo{}, listErr
		}
		if len(files) > 0 {
			return certmagic.KeyInfo{Key: key}, nil
		}
	}
	return certmagic.KeyInfo{}, err
}

// String is for certmagic's log.
func (s *Storage) String() string { return "redis:" + s.files }
