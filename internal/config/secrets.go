package config

import (
	"errors"
	"slices"
	"strings"

	"powerjob-shim/internal/tlsfile"
)

// MinKeyBytes is what HMAC-SHA256 keys must have (RFC 7518, 3.2).
const MinKeyBytes = 32

// secret is one secret's three ways of being given.
type secret struct {
	path     string // of the plain key; the others have _file and _env behind it
	value    *Secret
	plain    bool // it may be written in the file itself
	required bool
	min      int // bytes
	file     string
	env      string
}

// resolveSecrets reads the secrets that files and variables hold into their
// fields, and returns the variables' names. A trailing newline is cut off. cfg
// remembers the files.
func resolveSecrets(cfg *Config, environ []string, bad func(path, format string, args ...any)) (used []string) {
	redis := &cfg.Dedup.Redis
	secrets := []secret{
		{path: "dedup.redis.password", value: &redis.Password, plain: true, file: redis.PasswordFile, env: redis.PasswordEnv},
		{path: "dedup.redis.sentinel_password", value: &redis.SentinelPassword, plain: true, file: redis.SentinelPasswordFile, env: redis.SentinelPasswordEnv},
		{path: "dedup.redis.key_secret", value: &redis.KeySecret, min: MinKeyBytes, file: redis.KeySecretFile, env: redis.KeySecretEnv},
	}
	for name, u := range cfg.Upstreams {
		b := u.LoginBridge
		if b == nil {
			continue
		}
		path := join("upstreams", name) + ".login_bridge"
		secrets = append(secrets, secret{path: path + ".secret", value: &b.Secret, min: MinKeyBytes, file: b.SecretFile, env: b.SecretEnv})
		for i := range b.Apps {
			app := &b.Apps[i]
			secrets = append(secrets, secret{path: index(path+".apps", i) + ".password", value: &app.Password,
				plain: true, required: true, file: app.PasswordFile, env: app.PasswordEnv})
		}
	}
	for _, s := range secrets {
		if s.env != "" {
			used = append(used, s.env)
		}
		s.resolve(environ, bad)
		if s.file != "" {
			cfg.secrets = append(cfg.secrets, secretFile{s.file, *s.value})
		}
	}
	slices.SortFunc(cfg.secrets, func(a, b secretFile) int { return strings.Compare(a.path, b.path) }) // upstreams is a map
	return used
}

// secretFile is a file that a secret came from.
type secretFile struct {
	path  string
	value Secret
}

// ReadSecret returns what a file with a secret holds, without a trailing newline.
// A file with nothing in it is an error.
func ReadSecret(path string) (Secret, error) {
	content, err := readFile(path)
	if err != nil {
		return "", err
	}
	s := Secret(strings.TrimRight(string(content), "\r\n"))
	if s == "" {
		return "", errEmptySecret
	}
	return s, nil
}

var errEmptySecret = errors.New("there is no secret in it")

func (s secret) resolve(environ []string, bad func(path, format string, args ...any)) {
	given, key := 0, s.path
	for _, way := range []struct{ value, key string }{{string(*s.value), s.path}, {s.file, s.path + "_file"}, {s.env, s.path + "_env"}} {
		if way.value != "" {
			given++
			key = way.key
		}
	}
	name := s.path[strings.LastIndex(s.path, ".")+1:]
	switch {
	case given == 0 && s.required:
		bad(s.path, "is missing; write one of %[1]s_file, %[1]s_env or %[1]s", name)
		return
	case given == 0:
		return
	case given > 1 && s.plain:
		bad(key, "only one of %[1]s, %[1]s_file and %[1]s_env may be given", name)
		return
	case given > 1:
		bad(key, "only one of %[1]s_file and %[1]s_env may be given", name)
		return
	case s.file != "":
		read, err := ReadSecret(s.file)
		if err != nil && !errors.Is(err, errEmptySecret) {
			bad(key, "%s cannot be read: %v", s.file, tlsfile.Reason(err))
			return
		}
		*s.value = read
	case s.env != "":
		*s.value = Secret(strings.TrimRight(variable(environ, s.env), "\r\n"))
	}
	switch {
	case *s.value == "":
		bad(key, "there is no secret in it; set the variable or fill the file")
	case *s.value == redacted:
		bad(key, "%q is a secret that was hidden when the configuration was printed; write %s_file, or the secret itself", redacted, name)
	case len(*s.value) < s.min:
		bad(key, "has %d bytes; it needs at least %d", len(*s.value), s.min)
	}
}
