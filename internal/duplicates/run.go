package duplicates

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"powerjob-shim/internal/address"
)

// The errors of Run when its report says all that there is to say.
var (
	ErrLeft      = errors.New("there are duplicates, see above")
	ErrUnchanged = errors.New("not all leftovers could be changed, see above")
)

// Options say what Run does.
type Options struct {
	Servers  []address.Server // a client's list: Run takes the first server that it can connect to
	App      string
	Password string        // in plain text
	Within   time.Duration // see Find
	Timeout  time.Duration // of each request; 0: none
	Insecure bool          // the server's certificate is not checked
	JSON     bool          // the report is for programs
	Change   *Action       // what to do to leftovers; nil: nothing
	Yes      bool          // do not ask before a change
}

// Run finds duplicates, reports them on out, and changes leftovers if in answers a
// question with yes. The error is nil if no duplicates are left in service, ErrLeft
// if some are; otherwise it says what went wrong.
func Run(ctx context.Context, o Options, in io.Reader, out io.Writer) error {
	session, base, err := o.login(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w%s", base, err, advice(err))
	}
	jobs, err := session.Jobs(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w%s", base, err, advice(err))
	}
	r := &report{
		server: base, app: o.App, appID: session.AppID(), jobs: len(jobs), within: o.Within,
		found: Find(jobs, o.Within), outcomes: map[int64]Outcome{},
	}
	concerned := 0
	if o.Change != nil {
		concerned = r.concerned(*o.Change)
	}
	if !o.JSON {
		if _, err := io.WriteString(out, r.table(concerned > 0)); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	if concerned > 0 {
		if err := o.agree(in, out, concerned); err != nil {
			return err
		}
		r.apply(ctx, session, *o.Change, !o.JSON, out)
	}
	if o.JSON {
		if err := r.json(out); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return r.verdict()
}

// agree asks whether to change leftovers, unless o.Yes says so already. The error is
// ErrLeft if the answer is no.
func (o *Options) agree(in io.Reader, out io.Writer, concerned int) error {
	if o.Yes {
		return nil
	}
	ok, err := confirm(in, out, fmt.Sprintf("\n%s %s? [y/N] ", o.Change.verb, count(concerned, "leftover")))
	if err == nil && !ok {
		fmt.Fprintln(out, "Nothing was changed.")
		err = ErrLeft
	}
	return err
}

// login logs in to the first server of the list that it can connect to, and returns
// the server's address.
func (o *Options) login(ctx context.Context) (session *Session, base string, err error) {
	for _, server := range o.Servers {
		base = server.Base()
		session, err = Login(ctx, Config{
			Server: server, App: o.App, Password: o.Password, Timeout: o.Timeout,
			TLS: &tls.Config{InsecureSkipVerify: o.Insecure}, //nolint:gosec // only where the user says so
		})
		if dial := (*net.OpError)(nil); !errors.As(err, &dial) || dial.Op != "dial" {
			break
		}
	}
	return session, base, err
}

// advice names a flag that helps against an error; "": none does.
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

// confirm asks a question. The error says that nobody answered.
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

// apply changes the leftovers. SIGINT and SIGTERM end it after the call in flight.
// tell: each outcome is written to out.
func (r *report) apply(ctx context.Context, s *Session, a Action, tell bool, out io.Writer) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if tell {
		fmt.Fprintln(out)
	}
	s.ApplyAll(ctx, a, r.found, func(f Finding, o Outcome) {
		r.outcomes[f.Jobs[0].ID] = o
		if tell {
			fmt.Fprintln(out, "  "+outcomeLine(f, a, o))
		}
	})
}
