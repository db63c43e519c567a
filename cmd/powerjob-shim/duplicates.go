package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"powerjob-shim/internal/address"
	"powerjob-shim/internal/duplicates"
)

// duplicatesFlags are the flags of the command duplicates.
type duplicatesFlags struct {
	app                       string
	passwordFile, passwordEnv string
	within, timeout           time.Duration
	format                    string
	disable, delete, yes      bool
	insecure                  bool
}

func newDuplicatesCmd(environ []string) *cobra.Command {
	var f duplicatesFlags
	cmd := &cobra.Command{
		Use:   "duplicates URL --app NAME",
		Short: "Find duplicate jobs that the defect already left in a server, and take them out of service",
		Long: `Find duplicate jobs that the defect already left in a server, and take them out of service.

It logs in as the app and lists its jobs. Two that differ in nothing but their ids, times and state, made one right
after the other, are what a call leaves that was executed twice: the caller was told the id of the later one, nobody
knows the earlier one, the leftover. Two equal jobs that somebody made on purpose look the same: read the list.

Without --disable or --delete nothing is changed. With one of them, and after a question, each leftover is looked at
again and then changed, unless something has happened to it or to its twin. Nothing else is changed, and nothing
whose twin is less in service than itself. enableJob brings back what was disabled or deleted.

Exit code 0: none, or all are out of service; 3: there are duplicates; 1: it failed; 2: the command line is wrong.`,
		Example: `  powerjob-shim duplicates http://powerjob.example.com:7700 --app my-app --password-file password.txt
  powerjob-shim duplicates http://powerjob.example.com:7700 --app my-app --password-env PASSWORD --disable`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(args[0], environ)
			if err != nil {
				return err
			}
			err = duplicates.Run(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout())
			if errors.Is(err, duplicates.ErrLeft) {
				return exitCode{err, 3}
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.app, "app", "", "`name` of the app whose jobs to look at")
	flags.StringVar(&f.passwordFile, "password-file", "", "`file` with the app's password; a newline at its end does not count")
	flags.StringVar(&f.passwordEnv, "password-env", "", "environment `variable` with the app's password")
	flags.DurationVar(&f.within, "within", 10*time.Second, "how long after each other equal jobs were made that count as duplicates")
	flags.StringVar(&f.format, "format", "table", "table or json")
	flags.BoolVar(&f.disable, "disable", false, "disable the leftovers")
	flags.BoolVar(&f.delete, "delete", false, "delete the leftovers (the server only marks them as deleted)")
	flags.BoolVar(&f.yes, "yes", false, "do not ask before changing anything")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "how long each request may take")
	flags.BoolVar(&f.insecure, "insecure", false, "do not check the server's certificate, as PowerJob's clients do not")
	_ = cmd.MarkFlagRequired("app") // the flag exists
	cmd.MarkFlagsOneRequired("password-file", "password-env")
	cmd.MarkFlagsMutuallyExclusive("password-file", "password-env")
	cmd.MarkFlagsMutuallyExclusive("disable", "delete")
	return cmd
}

// options checks the flags and turns them into Options.
func (f *duplicatesFlags) options(target string, environ []string) (o duplicates.Options, err error) {
	if err := f.validate(); err != nil {
		return o, usageError{err}
	}
	servers, err := address.ParseList([]string{target})
	if err != nil {
		return o, usageError{err}
	}
	password, err := f.password(environ)
	if err != nil {
		return o, err
	}
	o = duplicates.Options{
		Servers: servers, App: f.app, Password: password, Within: f.within, Timeout: f.timeout,
		Insecure: f.insecure, JSON: f.format == "json", Yes: f.yes,
	}
	switch {
	case f.disable:
		o.Change = &duplicates.Disable
	case f.delete:
		o.Change = &duplicates.Delete
	}
	return o, nil
}

func (f *duplicatesFlags) validate() error {
	switch {
	case f.within <= 0:
		return fmt.Errorf("--within is %v; write a positive duration such as 10s", f.within)
	case f.timeout <= 0:
		return fmt.Errorf("--timeout is %v; write a positive duration such as 30s", f.timeout)
	case f.format != "table" && f.format != "json":
		return fmt.Errorf("--format is %q; write table or json", f.format)
	case f.format == "json" && (f.disable || f.delete) && !f.yes:
		return errors.New("--format json cannot ask before a change; look at the list first, and then add --yes")
	}
	return nil
}

func (f *duplicatesFlags) password(environ []string) (string, error) {
	if f.passwordFile != "" {
		text, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return "", fmt.Errorf("--password-file: %w", err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
	}
	for _, variable := range environ {
		if value, ok := strings.CutPrefix(variable, f.passwordEnv+"="); ok {
			return value, nil
		}
	}
	return "", fmt.Errorf("--password-env: there is no environment variable %s", f.passwordEnv)
}
