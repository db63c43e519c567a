package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"powerjob-shim/internal/address"
	"powerjob-shim/internal/doctor"
)

// errUnhealthy is doctor's error when its report says all that there is to say.
var errUnhealthy = errors.New("not healthy, see above")

func newDoctorCmd() *cobra.Command {
	var (
		timeout time.Duration
		asJSON  bool
	)
	cmd := &cobra.Command{
		Use:   "doctor URL...",
		Short: "Tell whether a server, or the path to it, makes 5.x clients send everything twice",
		Long: `Tell whether a server, or the path to it, makes 5.x clients send everything twice.

It sends six harmless requests to each address: two logins and two reads for an app that does not exist, and two GETs
that every server refuses. Nothing is changed and nobody is logged in. Run it where your client runs, with the
addresses that the client has, one or several, with spaces or commas between: what stands between them counts.

Exit codes:
  0  healthy: 5.x clients execute every call once
  1  affected: every call is sent twice, a refused call is taken for one that passed, or there is no authApp
  2  the command line is wrong
  3  unreachable: there is no answer, or something answers with an error in the server's place
  4  not a PowerJob server
Of several addresses the worst counts: 1 before 4 before 3.`,
		Example: `  powerjob-shim doctor http://powerjob.example.com:7700
  powerjob-shim doctor 10.0.0.1:7700,10.0.0.2:7700 --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("doctor needs the addresses that your clients have: powerjob-shim doctor http://powerjob.example.com:7700")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return examine(cmd.Context(), cmd.OutOrStdout(), args, timeout, asJSON)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", doctor.DefaultTimeout, "how long each request may take")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

// examine examines servers and prints a report. The error is nil if all are healthy;
// otherwise it has the exit code.
func examine(ctx context.Context, out io.Writer, addresses []string, timeout time.Duration, asJSON bool) error {
	if timeout <= 0 {
		return usageError{fmt.Errorf("--timeout is %v; write a positive duration such as 5s", timeout)}
	}
	servers, err := address.ParseList(addresses)
	if err != nil {
		return usageError{err}
	}
	targets := make([]doctor.Target, len(servers))
	for i, s := range servers {
		targets[i] = doctor.Target{Server: s, Timeout: timeout}
	}
	report := doctor.NewReport(doctor.ExamineAll(ctx, targets))
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(report)
	} else {
		_, err = io.WriteString(out, report.String())
	}
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if report.ExitCode != doctor.ExitHealthy {
		return exitCode{errUnhealthy, report.ExitCode}
	}
	return nil
}
