package config

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"powerjob-shim/configs"
	"powerjob-shim/internal/address"
	"powerjob-shim/internal/tlsfile"
)

// Source says where a configuration comes from, besides the embedded defaults.
type Source struct {
	// File is a YAML file. Empty: the one that POWERJOB_SHIM_CONFIG names, or none.
	File string
	// Environ has "NAME=value" pairs, as os.Environ returns them.
	Environ []string
	// Flags is a parsed set that AddFlags has added to. Nil: no flags.
	Flags *pflag.FlagSet
	// NoServersYet accepts a configuration that names no server: run may be given
	// one by a flag later.
	NoServersYet bool
	// Templates is for a program that learns servers and routes elsewhere. The
	// groups are templates for its own: there may be none, and neither servers nor
	// routes may be given. False: every group must have servers.
	Templates bool
}

// Path returns the file that Load reads, or "" for none.
func (s Source) Path() string {
	if s.File != "" {
		return s.File
	}
	return Variable(s.Environ, FileVariable)
}

// Variable returns the value of the last "NAME=value" pair with that name. Empty:
// there is no such pair, or its value is empty.
func Variable(environ []string, name string) string {
	for _, pair := range slices.Backward(environ) {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			return value
		}
	}
	return ""
}

// Load reads, merges, defaults and validates all layers. Besides the
// configuration file it reads the files that hold secrets. Its error joins every
// *Problem found.
func Load(src Source) (*Config, error) {
	r := new(report)
	var content []byte
	path := src.Path()
	if path != "" {
		var err error
		if content, err = readFile(path); err != nil {
			r.fail(place{source: path}, "", "cannot be read: %v", tlsfile.Reason(err))
		}
	}
	cfg := load(path, content, src, r)
	if err := r.err(); err != nil {
		return nil, err
	}
	cfg.digest = digest(content, cfg.secrets)
	return cfg, nil
}

// Digest is the hash of the file's content and of the secrets in other files, for
// Watch.
func (c *Config) Digest() [sha256.Size]byte { return c.digest }

// SecretFiles are the files that secrets came from, for Watch.
func (c *Config) SecretFiles() []string {
	files := make([]string, len(c.secrets))
	for i, s := range c.secrets {
		files[i] = s.path
	}
	return files
}

func digest(content []byte, secrets []secretFile) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, part := range append([]secretFile{{value: Secret(content)}}, secrets...) {
		of := sha256.Sum256([]byte(part.path + "\x00" + string(part.value)))
		h.Write(of[:])
	}
	h.Sum(sum[:0])
	return sum
}

// load merges the layers with koanf: the defaults, the file's content, the
// environment and the flags. Each layer is first decoded alone, so that all its
// problems are found even where a later layer wins.
func load(path string, content []byte, src Source, r *report) *Config {
	k := koanf.New(".")
	at := places{"": {source: path}}
	merge := func(l *layer) {
		decode(l, r)
		at.overlay(l.places)
		// The provider cannot fail, and koanf.Load fails only if it does.
		_ = k.Load(confmap.Provider(l.values, ""), nil)
	}
	defaults := parseYAML("default.yaml", configs.DefaultYAML(), r)
	defaults.places = nil // no problem can be there, and its values do not count as given
	merge(defaults)
	merge(parseYAML(path, content, r))
	variables, unknown := readEnviron(src.Environ, onlyGroup(k), r)
	merge(variables)
	merge(readFlags(src.Flags, onlyGroup(k)))

	merged := layer{values: k.Raw(), places: at}
	cfg := decode(&merged, new(report)) // its problems have all been found above
	for name, u := range cfg.Upstreams {
		u.Servers = address.List(u.Servers)
		cfg.Upstreams[name] = u
	}
	applyDefaults(cfg, func(path string) bool { _, ok := at[path]; return ok })
	used := resolveSecrets(cfg, src.Environ, func(path, format string, args ...any) {
		r.fail(at.of(path), path, format, args...)
	})
	for _, name := range unknown {
		if !slices.Contains(used, name) {
			unknownVariable(name, onlyGroup(k), r)
		}
	}
	if !r.failed[failure{path, ""}] { // else the file's other keys are unknown
		validate(cfg, src, at, r)
	}
	return cfg
}

// onlyGroup returns the upstream group that --upstream means.
func onlyGroup(k *koanf.Koanf) string {
	if names := k.MapKeys("upstreams"); len(names) == 1 && groupName.MatchString(names[0]) {
		return names[0]
	}
	return "default"
}

// readFile reads at most one byte more than parseYAML accepts, so that it ends on /dev/zero too.
func readFile(path string) (content []byte, err error) {
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, maxFileBytes+1))
}
