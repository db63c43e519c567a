package configs

import _ "embed" // schema.json

//go:embed schema.json
var schemaJSON []byte

// Schema returns the JSON schema (draft 2020-12) of a configuration file, for
// editors. It is made from this package's types, their comments and default.yaml,
// and knows less than Load: what depends on another key, or on the machine, only
// Load can tell.
func Schema() []byte { return append([]byte(nil), schemaJSON...) }
