package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"powerjob-shim/internal/config"
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
			return askHealth(cmd.Context(), address)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration `file` (default $POWERJOB_SHIM_CONFIG)")
	cmd.Flags().StringVar(&admin, "admin", "", "`address` of the admin listener (default: the configuration's)")
	return cmd
}

func askHealth(ctx context.Context, address string) error {
	if host, port, err := net.SplitHostPort(address); err == nil && (host == "" || net.ParseIP(host).IsUnspecified()) {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("asking the controller: %w", err)
	}
	res, err := (&http.Transport{}).RoundTrip(req) // no proxy of the environment
	if err != nil {
		return fmt.Errorf("asking the controller at %s: %w; if run was given --admin or --config, give healthcheck the same", address, err)
	}
	_ = res.Body.Close() // the status says it all
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the controller at %s says %s", address, res.Status)
	}
	return nil
}
