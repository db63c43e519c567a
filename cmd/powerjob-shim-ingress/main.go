// Command powerjob-shim-ingress is an ingress controller in front of PowerJob
// servers: powerjob-shim, with its routes from a cluster's Ingress objects.
//
//	powerjob-shim-ingress run
//	powerjob-shim-ingress translate ingress.yaml
//
// Package plan translates Ingresses into the proxy's settings, package controller
// watches them, package translate rewrites Ingresses that were made for
// ingress-nginx.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"powerjob-shim/internal/program"
)

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)) }

// run executes one command line and returns the process's exit code: 0, 2 for a
// wrong command line, 1 for a failure. If it is not 0, run has written the reason to
// stderr.
func run(args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCmd(environ)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(stderr, err) // there is nowhere else to say it
	if usage := (usageError{}); errors.As(err, &usage) {
		return 2
	}
	return 1
}

// usageError is the error of a wrong command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func newRootCmd(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:           "powerjob-shim-ingress",
		Short:         "An ingress controller that makes PowerJob clients execute every call once on servers that cannot be upgraded",
		Version:       versionLine(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs, // RunE says more about them
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; %s --help lists them", args[0], cmd.CommandPath())}
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(newRunCmd(environ), newTranslateCmd(), newHealthcheckCmd(environ), newVersionCmd())
	return root
}

// arguments returns check with its errors turned into usageErrors.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
		}
		return nil
	}
}

// The linker sets them: -X main.version=… -X main.revision=…. Empty: the values that
// Go itself put into the binary are used.
var version, revision string

// buildInfo returns which build this is.
func buildInfo() program.Build { return program.BuildOf(version, revision) }

// versionLine returns the line that version and --version print.
func versionLine() string { return "powerjob-shim-ingress " + buildInfo().String() }

func newVersionCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print which build this is",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionLine())
			return err
		},
	}
}
