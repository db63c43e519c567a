package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// usageError is a command line that cannot be carried out as it is written.
// Its exit code is 2, as for other tools, so that scripts can tell it from a
// failure.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode is an error that ends a command with a code of its own.
type exitCode struct {
	error
	code int
}

func (e exitCode) Unwrap() error { return e.error }

// codeOf returns the process's exit code for what a command ended with.
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

// unknownCommand says that name is no command of cmd, and which one it may
// have been meant to be.
func unknownCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2 // cobra sets its default only where it looks itself
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s?", name, strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q; %s --help lists them", name, cmd.CommandPath())
}

// tellUsageErrors makes usage errors of what cobra finds wrong with the
// arguments and flags of cmd and all commands below it. Cobra checks required
// and exclusive flags itself, between PreRun and RunE, without a way to mark
// what it finds, so they are checked here once more.
func tellUsageErrors(cmd *cobra.Command) {
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
		tellUsageErrors(sub)
	}
}
