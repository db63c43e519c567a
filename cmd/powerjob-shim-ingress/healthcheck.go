package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"powerjob-shim/internal/config"
	"powerjob-shim/internal/program"
)

func newHealthcheckCmd(environ []string) *cobra.Command {
	var file, admin string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the local controller's /healthz; for images without a shell",
		Args:  arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			address := admin
			if address == "" {
				cfg, err := config.Load(config.Source{File: file, Environ: environ, Templates: true})
				if err != nil {
					return fmt.Errorf("the admin listener's address is not known; give --admin: %w", err)
				}
				address = cfg.Admin.Address
			}
			return program.AskHealth(cmd.Context(), "controller", address)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration `file` (default $POWERJOB_SHIM_CONFIG)")
	cmd.Flags().StringVar(&admin, "admin", "", "`address` of the admin listener (default: the configuration's)")
	return cmd
}
