package main

import (
	"github.com/spf13/cobra"

	"powerjob-shim/configs"
)

func newPrintDefaultsCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "print-defaults",
		Short: "Print the built-in configuration, which explains every key",
		Long: `Print the built-in configuration, which explains every key.

Copy what you want to change into a file of your own and run it with --config.`,
		Example: "  powerjob-shim print-defaults > shim.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(configs.DefaultYAML())
			return err
		},
	}
}
