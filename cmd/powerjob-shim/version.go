package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the linker: -X main.version=… -X main.revision=…. Empty: what Go
// itself put into the binary.
var version, revision string

type build struct{ version, revision, goVersion string }

// buildInfo tells which build this is; "unknown" where nobody knows.
func buildInfo() build {
	b := build{version, revision, runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if b.version == "" {
			b.version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && b.revision == "" {
				b.revision = s.Value
			}
		}
	}
	if b.version == "" {
		b.version = "unknown"
	}
	if b.revision == "" {
		b.revision = "unknown"
	}
	return b
}

// String is what version prints.
func (b build) String() string {
	return fmt.Sprintf("powerjob-shim %s (revision %s, %s %s/%s)", b.version, b.revision, b.goVersion, runtime.GOOS, runtime.GOARCH)
}

func newVersionCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print which build this is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := buildInfo()
			if !asJSON {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), b)
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{
				"version": b.version, "revision": b.revision, "go": b.goVersion, "os": runtime.GOOS, "arch": runtime.GOARCH,
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON: version, revision, go, os and arch")
	return cmd
}
