package main

import (
	"errors"

	"github.com/spf13/cobra"

	"powerjob-shim/internal/demo"
	"powerjob-shim/internal/program"
)

func newDemoCmd(start demo.StartShim) *cobra.Command {
	var (
		address, as string
		asJSON      bool
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show what a legacy server executes without and with the shim; needs no server",
		Long: `Show what a legacy server executes without and with the shim; needs no server.

With --serve it runs the stand-in server alone, for as long as you like, so that
the other commands can be tried on it. It prints what it executes.`,
		Example: "  powerjob-shim demo\n  powerjob-shim demo --serve 127.0.0.1:7701 --as 5.1.0",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if address == "" {
				return demo.Run(cmd.OutOrStdout(), start, asJSON)
			}
			stop, _, release := program.UntilSignals(cmd.Context())
			defer release()
			err := demo.Serve(stop, cmd.OutOrStdout(), address, as)
			if input := (demo.InputError{}); errors.As(err, &input) {
				return usageError{err}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&address, "serve", "", "run only the stand-in server, on this `address`")
	cmd.Flags().StringVar(&as, "as", "5.1.0", "which `server` stands there: 5.1.0, 5.1.1, auth (5.1.0 with its check on), 5.0 or 4.x")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the table as JSON")
	cmd.MarkFlagsMutuallyExclusive("serve", "json")
	_ = cmd.RegisterFlagCompletionFunc("as", cobra.FixedCompletions(demo.Servers(), cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return cmd
}
