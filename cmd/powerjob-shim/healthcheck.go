package main

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"powerjob-shim/internal/config"
	"powerjob-shim/internal/program"
)

func newHealthcheckCmd(environ []string) *cobra.Command {
	var file, admin string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the local shim's /healthz; for images without a shell",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			process1, _ := os.ReadFile("/proc/1/cmdline") // nothing elsewhere than on Linux
			return program.AskHealth(cmd.Context(), "shim", adminAddress(admin, file, environ, process1))
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&admin, "admin", "", "`address` of the admin listener (default: what run would take)")
	return cmd
}

// adminAddress is where run listens: the flag's, that of a run which is process
// 1, the environment's, the file's or the default. A file that was broken since
// run read it decides nothing.
func adminAddress(flag, file string, environ []string, process1 []byte) string {
	if flag != "" {
		return flag
	}
	flags, itsFile := flagsOfRun(process1)
	file = cmp.Or(file, itsFile)
	if address, _ := flags.GetString("admin"); address != "" {
		return address
	}
	if cfg, err := config.Load(config.Source{File: file, Environ: environ, Flags: flags, NoServersYet: true}); err == nil {
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

// flagsOfRun returns the flags of a process's command line (as Linux' /proc has
// it) if it is "powerjob-shim run", and its --config; else flags that are not
// set. In a container run is process 1, and the healthcheck beside it knows
// nothing else of the flags that it was given.
func flagsOfRun(cmdline []byte) (flags *pflag.FlagSet, file string) {
	newFlags := func() *pflag.FlagSet {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		flags.ParseErrorsAllowlist.UnknownFlags = true
		flags.Usage = func() {}
		config.AddFlags(flags)
		flags.StringVar(&file, "config", "", "")
		return flags
	}
	flags = newFlags()
	args := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
	if filepath.Base(args[0]) != "powerjob-shim" || !slices.Contains(args[1:], "run") {
		return flags, ""
	}
	if flags.Parse(args[1:]) != nil {
		return newFlags(), ""
	}
	return flags, file
}
