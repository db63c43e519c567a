package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"powerjob-shim/internal/address"
	"powerjob-shim/internal/duplicates"
)

var (
	// errDuplicates is what duplicates ends with when it leaves some behind.
	errDuplicates error = exitCode{errors.New("there are duplicates, see above"), 3}
	errUnchanged        = errors.New("not all leftovers could be changed, see above")
)

// duplicatesFlags is a command line of duplicates.
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
			return findDuplicates(cmd, args[0], f, environ)
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

// findDuplicates runs the command. The error is nil where no duplicates are
// left in service, errDuplicates where some are, and else what went wrong.
func findDuplicates(cmd *cobra.Command, target string, f duplicatesFlags, environ []string) error {
	if err := f.validate(); err != nil {
		return usageError{err}
	}
	servers, err := address.ParseList([]string{target})
	if err != nil {
		return usageError{err}
	}
	password, err := f.password(environ)
	if err != nil {
		return err
	}
	session, base, err := f.login(cmd.Context(), servers, password)
	if err != nil {
		return fmt.Errorf("%s: %w%s", base, err, advice(err))
	}
	jobs, err := session.Jobs(cmd.Context())
	if err != nil {
		return fmt.Errorf("%s: %w%s", base, err, advice(err))
	}
	r := &duplicatesReport{
		server: base, app: f.app, appID: session.AppID(), jobs: len(jobs), within: f.within,
		found: duplicates.Find(jobs, f.within), outcomes: map[int64]duplicates.Outcome{},
	}
	action, change := f.action()
	concerned := r.concerned(action)
	out := cmd.OutOrStdout()
	if f.format == "table" {
		if _, err := io.WriteString(out, r.table(change && concerned > 0)); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	if change && concerned > 0 {
		if !f.yes {
			ok, err := confirm(cmd.InOrStdin(), out, fmt.Sprintf("\n%s %s? [y/N] ", f.verb(), count(concerned, "leftover")))
			if err != nil {
				return err
			}
			if !ok {
				fmt.Fprintln(out, "Nothing was changed.")
				return errDuplicates
			}
		}
		r.apply(cmd.Context(), session, action, f.format == "table", out)
	}
	if f.format == "json" {
		if err := r.json(out); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return r.verdict()
}

// login logs in to the first server of a client's list that can be connected to,
// and returns its address.
func (f *duplicatesFlags) login(ctx context.Context, servers []address.Server, password string) (session *duplicates.Session, base string, err error) {
	for _, server := range servers {
		base = server.Base()
		session, err = duplicates.Login(ctx, duplicates.Config{
			Server: server, App: f.app, Password: password, Timeout: f.timeout,
			TLS: &tls.Config{InsecureSkipVerify: f.insecure}, //nolint:gosec // only where the user says so
		})
		if dial := (*net.OpError)(nil); !errors.As(err, &dial) || dial.Op != "dial" {
			break
		}
	}
	return session, base, err
}

// advice is which flag helps against an error, if one does.
func advice(err error) string {
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return "; --insecure does not check the certificate"
	case errors.Is(err, context.DeadlineExceeded):
		return "; --timeout gives it more"
	}
	return ""
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

// action is what to do with leftovers; false: nothing.
func (f *duplicatesFlags) action() (duplicates.Action, bool) {
	if f.delete {
		return duplicates.Delete, true
	}
	return duplicates.Disable, f.disable
}

func (f *duplicatesFlags) verb() string {
	if f.delete {
		return "Delete"
	}
	return "Disable"
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

// confirm asks; the error says that nobody could answer.
func confirm(in io.Reader, out io.Writer, question string) (bool, error) {
	fmt.Fprint(out, question)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if answer == "" && err != nil {
		fmt.Fprintln(out)
		return false, errors.New("nobody answered, so nothing was changed; without a terminal, add --yes")
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}

// apply changes the leftovers. SIGINT and SIGTERM end it after the call that is
// under way.
func (r *duplicatesReport) apply(ctx context.Context, s *duplicates.Session, a duplicates.Action, tell bool, out io.Writer) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if tell {
		fmt.Fprintln(out)
	}
	s.ApplyAll(ctx, a, r.found, func(f duplicates.Finding, o duplicates.Outcome) {
		r.outcomes[f.Jobs[0].ID] = o
		if tell {
			fmt.Fprintln(out, "  "+outcomeLine(f, a, o))
		}
	})
}
