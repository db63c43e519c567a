// Package configs embeds what users copy: the defaults and the JSON schema.
// internal/config loads, checks and prints configurations.
package configs

import _ "embed" // the files

//go:embed default.yaml
var defaultYAML []byte

// DefaultYAML returns the defaults with their comments.
func DefaultYAML() []byte { return append([]byte(nil), defaultYAML...) }

//go:embed schema.json
var schemaJSON []byte

// Schema returns the JSON schema (draft 2020-12) of a configuration file, for
// editors. internal/config holds it to its types, their comments and the defaults;
// it knows less than Load: what depends on another key, or on the machine.
func Schema() []byte { return append([]byte(nil), schemaJSON...) }
