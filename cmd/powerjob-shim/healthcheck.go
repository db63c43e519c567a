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
			process1, _ := os.ReadFile("/proc/1/cmdline") // empty where there is no /proc
			return program.AskHealth(cmd.Context(), "shim", adminAddress(admin, file, environ, process1))
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&admin, "admin", "", "`address` of the admin listener (default: what run would take)")
	return cmd
}

// adminAddress returns the address that run listens on for admin, from the first of
// these that names one: the flag, the command line of process 1 if that is run, the
// environment, the file, the default. A file that has become invalid since run read
// it is ignored.
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
	return cmp.Or(config.Variable(environ, "POWERJOB_SHIM_ADMIN"), config.Variable(environ, "POWERJOB_SHIM_ADMIN__ADDRESS"), "127.0.0.1:9700")
}

// flagsOfRun returns the flags and the --config of a process's command line, in the
// form of Linux' /proc, if it is "powerjob-shim run"; otherwise flags that are not
// set. In a container, run is process 1, and its command line is all that the
// healthcheck can learn of its flags.
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
