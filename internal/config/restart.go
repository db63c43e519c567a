package config

import "reflect"

// restartOnly are the keys that a running process cannot change: sockets that
// are bound, the store and its bounds, the log's encoder. default.yaml marks
// them with (restart).
var restartOnly = []struct {
	path  string
	value func(*Config) any
}{
	{"listen", func(c *Config) any { return c.Listen }},
	{"admin.address", func(c *Config) any { return c.Admin.Address }},
	{"admin.token_file", func(c *Config) any { return c.Admin.TokenFile }},
	{"admin.pprof", func(c *Config) any { return c.Admin.PProf }},
	{"dedup.store", func(c *Config) any { return c.Dedup.Store }},
	{"dedup.max_entries", func(c *Config) any { return c.Dedup.MaxEntries }},
	{"dedup.max_bytes", func(c *Config) any { return c.Dedup.MaxBytes }},
	{"dedup.redis", func(c *Config) any { return c.Dedup.Redis.untilRestart() }},
	{"log.format", func(c *Config) any { return c.Log.Format }},
}

// untilRestart leaves out the secrets whose files are read while the process runs.
func (r Redis) untilRestart() Redis {
	for _, s := range []struct {
		file  string
		value *Secret
	}{{r.PasswordFile, &r.Password}, {r.SentinelPasswordFile, &r.SentinelPassword}, {r.KeySecretFile, &r.KeySecret}} {
		if s.file != "" {
			*s.value = ""
		}
	}
	return r
}

// RestartNeeded names the keys that differ and that a reload leaves as they
// were. All other keys count from the next request on.
func RestartNeeded(running, loaded *Config) []string {
	var keys []string
	for _, key := range restartOnly {
		if !reflect.DeepEqual(key.value(running), key.value(loaded)) {
			keys = append(keys, key.path)
		}
	}
	return keys
}
