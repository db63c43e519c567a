package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"powerjob-shim/internal/program"
)

// The linker sets them: -X main.version=… -X main.revision=…. Empty: the values that
// Go itself put into the binary are used.
var version, revision string

// buildInfo returns which build this is.
func buildInfo() program.Build { return program.BuildOf(version, revision) }

// versionLine returns the line that version and --version print.
func versionLine() string { return "powerjob-shim " + buildInfo().String() }

func newVersionCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print which build this is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !asJSON {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
				return err
			}
			b := buildInfo()
			return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{
				"version": b.Version, "revision": b.Revision, "go": b.Go, "os": runtime.GOOS, "arch": runtime.GOARCH,
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON: version, revision, go, os and arch")
	return cmd
}
