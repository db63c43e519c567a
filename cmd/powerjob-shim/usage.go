package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// usageError is the error of a wrong command line. Its exit code is 2, as with other
// tools, so that scripts can tell it from a failure.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode is an error that ends a command with a code of its own.
type exitCode struct {
	error
	code int
}

func (e exitCode) Unwrap() error { return e.error }

// codeOf returns the process's exit code for a command's error; nil: 0.
func codeOf(err error) int {
	var (
		own   exitCode
		usage usageError
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &usage):
		return 2
	}
	return 1
}

// unknownCommand returns an error that says that cmd has no command name, and
// suggests similar ones.
func unknownCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2 // cobra's own default, which it sets only when it searches itself
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s?", name, strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q; %s --help lists them", name, cmd.CommandPath())
}

// markUsageErrors turns cobra's errors about the arguments and flags of cmd, and of
// all commands below it, into usageErrors. Cobra checks required and exclusive flags
// between PreRun and RunE, and offers no way to mark those errors. So they are
// checked here as well, before.
func markUsageErrors(cmd *cobra.Command) {
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			err := args(cmd, given)
			if err == nil {
				err = cmd.ValidateRequiredFlags()
			}
			if err == nil {
				err = cmd.ValidateFlagGroups()
			}
			if err != nil {
				return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		markUsageErrors(sub)
	}
}
