package wire

import (
	"slices"
	"sync"
	"time"

	"powerjob-shim/internal/config"
)

// passwords returns a function that returns the password for a new connection: the
// file's content now or, if it cannot be read, when it was last read.
func passwords(first config.Secret, file string) func() string {
	r := rotated{file: file, all: []config.Secret{first}}
	return func() string { return string(r.values()[0]) }
}

// keySecrets returns a function that returns the secrets that hide the keys in Redis,
// the current one first, then older ones. Nil: keys are not hidden.
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
	file  string        // "": the secret does not come from a file
	every time.Duration // how often the file is read at most; 0: each time
	min   int           // bytes; a shorter content is ignored

	mu   sync.Mutex
	read time.Time       // when the file was read last
	all  []config.Secret // the newest first: the file's content when it was last read
}

// values returns the secret, then its older values.
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
