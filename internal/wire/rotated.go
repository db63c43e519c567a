package wire

import (
	"slices"
	"sync"
	"time"

	"powerjob-shim/internal/config"
)

// passwords returns the password of each new connection: what its file holds
// then, or held when it could last be read.
func passwords(first config.Secret, file string) func() string {
	r := rotated{file: file, all: []config.Secret{first}}
	return func() string { return string(r.values()[0]) }
}

// keySecrets returns what hides the keys in Redis now, and before that what did
// before; nil: nothing does.
func keySecrets(c *config.Redis) func() [][]byte {
	if c.KeySecret == "" {
		return nil
	}
	r := rotated{file: c.KeySecretFile, every: config.PollInterval, min: config.MinKeyBytes, all: []config.Secret{c.KeySecret}}
	return func() [][]byte {
		var all [][]byte
		for _, s := range r.values() {
			all = append(all, []byte(s))
		}
		return all
	}
}

// rotatedKept is how many older values of a secret are remembered.
const rotatedKept = 2

// rotated is a secret whose file may change while the process runs. Safe for
// concurrent use.
type rotated struct {
	file  string        // "": the secret does not come from one
	every time.Duration // how often the file is read; 0: each time
	min   int           // bytes; a shorter one does not count

	mu   sync.Mutex
	read time.Time       // when the file was read last
	all  []config.Secret // the newest first; what the file held when it could last be read
}

// values returns what the secret is, and was before.
func (r *rotated) values() []config.Secret {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.file != "" && now.Sub(r.read) >= r.every {
		r.read = now
		if s, err := config.ReadSecret(r.file); err == nil && len(s) >= r.min && s != r.all[0] {
			before := slices.DeleteFunc(r.all, func(o config.Secret) bool { return o == s })
			all := append([]config.Secret{s}, before...)
			r.all = all[:min(len(all), 1+rotatedKept)]
		}
	}
	return r.all
}
