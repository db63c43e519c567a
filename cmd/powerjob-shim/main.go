// Command powerjob-shim stands in front of PowerJob servers that cannot be
// upgraded and makes today's clients execute every call once.
//
//	powerjob-shim run --upstream http://127.0.0.1:7701
//
// Each subcommand is in the file of its name; internal/wire makes what the proxy
// runs on from the configuration.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// exitDuplicates is the exit code of duplicates where it has found some.
const exitDuplicates = 3

// run executes one command line. It returns the process's exit code: 0,
// exitDuplicates, or 1 for everything that went wrong; why not 0 it has then
// written to stderr.
func run(args, environ []string, stdout, stderr io.Writer) int {
	root := newRootCmd(environ)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.Execute(); err != nil {
		// A configuration's problems are one line each, with their place first.
		_, _ = fmt.Fprintln(stderr, err) // there is nowhere else to say it
		if errors.Is(err, errDuplicates) {
			return exitDuplicates
		}
		return 1
	}
	return 0
}

func newRootCmd(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:               "powerjob-shim",
		Short:             "Makes PowerJob clients execute every call once on servers that cannot be upgraded",
		Version:           buildInfo().String(), // --version
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.NoArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(
		newRunCmd(environ),
		newCheckCmd(environ),
		newDemoCmd(startInProcess),
		newDoctorCmd(),
		newDuplicatesCmd(environ),
		newHealthcheckCmd(environ),
		newVersionCmd(),
	)
	return root
}
