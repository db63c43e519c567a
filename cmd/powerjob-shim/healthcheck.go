package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"powerjob-shim/configs"
)

// healthTimeout is below the 3 s that the image's HEALTHCHECK gives.
const healthTimeout = 2 * time.Second

func newHealthcheckCmd(environ []string) *cobra.Command {
	var file, admin string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the local shim's /healthz; for images without a shell",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			return askHealth(ctx, loopback(adminAddress(admin, file, environ)))
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&admin, "admin", "", "`address` of the admin listener (default: what run would take)")
	return cmd
}

// adminAddress is where run listens: the flag's, the environment's, the file's
// or the default. A file that was broken since run read it decides nothing.
func adminAddress(flag, file string, environ []string) string {
	if flag != "" {
		return flag
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	configs.AddFlags(flags)
	if cfg, err := configs.Load(configs.Source{File: file, Environ: environ, Flags: flags}); err == nil {
		return cfg.Admin.Address
	}
	// The servers may have been named on run's command line only, and a
	// configuration is not valid without any.
	_ = flags.Set("upstream", "http://127.0.0.1:1") // the flag exists
	if cfg, err := configs.Load(configs.Source{File: file, Environ: environ, Flags: flags}); err == nil {
		return cfg.Admin.Address
	}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if (name == "POWERJOB_SHIM_ADMIN" || name == "POWERJOB_SHIM_ADMIN__ADDRESS") && value != "" {
			return value
		}
	}
	return "127.0.0.1:9700"
}

// loopback is how to reach a listener of this host.
func loopback(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

func askHealth(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("asking the shim: %w", err)
	}
	res, err := (&http.Transport{}).RoundTrip(req) // no proxy of the environment
	if err != nil {
		return fmt.Errorf("asking the shim at %s: %w", address, err)
	}
	_ = res.Body.Close() // the status says it all
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the shim at %s says %s", address, res.Status)
	}
	return nil
}
