package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"powerjob-shim/configs"
	"powerjob-shim/internal/config"
	"powerjob-shim/internal/wire"
)

func newCheckCmd(environ []string) *cobra.Command {
	var (
		file     string
		printAll bool
		schema   bool
	)
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report every problem of a configuration, without starting anything",
		Long: `Report every problem of a configuration, without starting anything.

It reads what run would read: the file, the environment, and the flags. Every
problem is one line with its file, line and path; the exit code is then 1. What
is valid but leaves calls without a rule, or names no server yet, is a warning,
and no failure.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if schema {
				_, err := cmd.OutOrStdout().Write(configs.Schema())
				return err
			}
			cfg, err := config.Load(config.Source{File: file, Environ: environ, Flags: cmd.Flags(), NoServersYet: true})
			if err != nil {
				return err
			}
			if _, err := wire.Settings(cfg); err != nil {
				return err
			}
			warnings := uncovered(cfg)
			if len(cfg.Upstreams) == 0 {
				warnings = append(warnings, "upstreams: no server is named here: run needs --upstream URL")
			}
			for _, warning := range warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: %s\n", cmp.Or(file, "the environment"), warning)
			}
			if !printAll {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "the configuration is valid")
				return err
			}
			text, err := cfg.YAML()
			if err != nil {
				return fmt.Errorf("printing the configuration: %w", err)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	configFlag(cmd, &file)
	config.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&printAll, "print", false, "print the effective configuration, without secrets")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON schema of a configuration file, for editors, and check nothing")
	cmd.MarkFlagsMutuallyExclusive("print", "schema")
	return cmd
}
