package config

import (
	"slices"
	"strings"
	"testing"
)

func TestRestartNeededNamesTheChangedKeys(t *testing.T) {
	for content, want := range map[string][]string{
		"": nil,
		"log: {level: debug, access: false}\nshutdown: {grace: 1s}\ndedup: {mode: observe, max_body: 1KiB}\ntrusted_proxies: [10.0.0.0/8]\n": nil,
		"listen: [{address: \":1\"}]\n":                     {"listen"},
		"admin: {address: \":1\", pprof: true}\n":           {"admin.address", "admin.pprof"},
		"log: {format: console}\n":                          {"log.format"},
		"dedup: {max_entries: 1, redis: {password: new}}\n": {"dedup.max_entries", "dedup.redis"},
		"dedup: {max_bytes: 1MiB}\n":                        {"dedup.max_bytes"},
	} {
		running := mustLoad(t, Source{File: writeFile(t, oneServer)})
		loaded := mustLoad(t, Source{File: writeFile(t, oneServer+content)})
		if got := RestartNeeded(running, loaded); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", content, got, want)
		}
	}
	old, rotated := writeFile(t, strings.Repeat("o", 32)), writeFile(t, strings.Repeat("n", 32))
	secrets := "dedup: {redis: {addresses: [\"s:1\"], master_name: m, password_file: FILE, sentinel_password_file: FILE, key_secret_file: FILE}}\n"
	before := mustLoad(t, Source{File: writeFile(t, oneServer+strings.ReplaceAll(secrets, "FILE", old))})
	after := mustLoad(t, Source{File: writeFile(t, oneServer+strings.ReplaceAll(secrets, "FILE", rotated))})
	r := &after.Dedup.Redis // the same files, with other contents
	r.PasswordFile, r.SentinelPasswordFile, r.KeySecretFile = old, old, old
	if got := RestartNeeded(before, after); len(got) > 0 {
		t.Errorf("rotated secrets: %v", got)
	}

	running := mustLoad(t, Source{File: writeFile(t, oneServer)})
	redis := *running
	redis.Dedup.Store = StoreRedis
	if got := RestartNeeded(running, &redis); !slices.Equal(got, []string{"dedup.store"}) {
		t.Errorf("another store: %v", got)
	}
}
