// Command powerjob-shim stands in front of PowerJob servers that cannot be
// upgraded and makes today's clients execute every call once.
//
//	powerjob-shim run --upstream http://127.0.0.1:7701
//
// Each subcommand is in the file of its name; internal/wire turns the configuration
// into the proxy's settings.
package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }

// run executes one command line and returns the process's exit code: 0, 2 for a
// wrong command line, 1 for a failure, or a code of the command's own. If it is not
// 0, run has written the reason to stderr.
func run(args, environ []string, stdout, stderr io.Writer) int {
	root := newRootCmd(environ)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	if err != nil {
		complain(stderr, err)
	}
	return codeOf(err)
}

// complain writes err to stderr: of a configuration each problem on a line, with its
// place first. It waits for at most a second if nobody reads stderr.
func complain(stderr io.Writer, err error) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = fmt.Fprintln(stderr, err) // there is nowhere else to say it
	}()
	select {
	case <-written:
	case <-time.After(time.Second):
	}
}

func newRootCmd(environ []string) *cobra.Command {
	root := &cobra.Command{
		Use:           "powerjob-shim",
		Short:         "Makes PowerJob clients execute every call once on servers that cannot be upgraded",
		Version:       versionLine(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{unknownCommand(cmd, args[0])}
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs, // RunE says more about them
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(
		newRunCmd(environ),
		newCheckCmd(environ),
		newDemoCmd(startInProcess),
		newDoctorCmd(),
		newDuplicatesCmd(environ),
		newHealthcheckCmd(environ),
		newPrintDefaultsCmd(),
		newVersionCmd(),
		newManCmd(),
	)
	root.InitDefaultCompletionCmd() // now, so that markUsageErrors sees it too
	markUsageErrors(root)
	return root
}
