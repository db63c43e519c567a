package config

import (
	"errors"
	"slices"
	"strings"

	"powerjob-shim/internal/tlsfile"
)

// MinKeyBytes is the least length of an HMAC-SHA256 key (RFC 7518, 3.2).
const MinKeyBytes = 32

// secret is one secret, with the three keys by which it can be given.
type secret struct {
	path     string // of the plain key; the other two keys end in _file and _env
	value    *Secret
	plain    bool // it may be written in the configuration itself
	required bool
	min      int    // its least length in bytes
	file     string // a path; "": not given
	env      string // a variable's name; "": not given
}

// resolveSecrets sets the secrets in cfg that are given by files and variables,
// without a trailing newline. It notes the files in cfg, and returns the
// variables' names.
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

// secretFile is a file that a secret was read from.
type secretFile struct {
	path  string
	value Secret
}

// ReadSecret returns the content of a file with a secret, without a trailing
// newline. An empty file is an error.
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
		*s.value = Secret(strings.TrimRight(Variable(environ, s.env), "\r\n"))
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
