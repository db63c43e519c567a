package configs

import "github.com/spf13/pflag"

// Source says where a configuration comes from. The zero value is the embedded
// default.yaml alone, which lacks an upstream.
type Source struct {
	// File is a YAML file. Empty: the one that POWERJOB_SHIM_CONFIG names, or none.
	File string
	// Environ has "NAME=value" pairs, as os.Environ returns them.
	Environ []string
	// Flags are a parsed set with those of AddFlags. Nil: no flags.
	Flags *pflag.FlagSet
}

// Load reads all layers.
func Load(src Source) (*Config, error) { return nil, nil }
