package doctor

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"powerjob-shim/internal/wireclient"
)

// unreachable is the diagnosis of a server that did not answer a request.
func unreachable(err error) *diagnosis {
	d := new(diagnosis)
	d.Facts = []string{err.Error()}
	d.conclude(Unreachable, "there is no answer to examine.")
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var network net.Error
	var line *wireclient.StatusLineError
	switch {
	case errors.As(err, &dns):
		d.advise("The name cannot be resolved here. Check it, or run doctor where the client runs.")
	case errors.Is(err, syscall.ECONNREFUSED):
		d.advise("Nothing listens on this address. Check host and port (PowerJob's default is 7700).")
	case errors.As(err, &network) && network.Timeout():
		d.advise("The answer took longer than --timeout. The Java client waits 2 s, then calls another address or gives up.")
	case errors.As(err, &record):
		d.advise("This port does not speak TLS. Try http:// instead of https://.")
	case errors.As(err, &line):
		d.advise("This is not an HTTP server, or it speaks TLS (then try https://) or HTTP/2 only (which no PowerJob client can use in plain text).")
	default:
		d.advise("The connection failed or was cut. If this is a TLS port, try https://.")
	}
	return d
}

// unanswered is the diagnosis of a server that closes the connection on a call. root
// and err are the outcome of a GET of /: a shim explains itself there.
func unanswered(call string, root sight, err error) *diagnosis {
	d := new(diagnosis)
	d.Facts = []string{fmt.Sprintf("%-12s closed without an answer: a shim whose server is down, or nothing", call)}
	d.conclude(Unreachable, "there is no answer to examine.")
	switch {
	case err != nil:
		d.Facts = append(d.Facts, fmt.Sprintf("%-12s %v", "GET /", err))
		d.advise("The connection was cut, for / too. Check host and port (PowerJob's default is 7700).",
			"If this is a TLS port, try https://.")
	case strings.HasPrefix(root.message, "powerjob-shim: "):
		d.Facts = append(d.Facts, fmt.Sprintf("%-12s %d, of a shim", "GET /", root.Status))
		d.Shims = root.shims()
		d.conclude(Failing, "a shim stands here, and its server does not answer. Clients go on to their next address.")
		d.advise("It says: " + root.message)
	default:
		d.Facts = append(d.Facts, fmt.Sprintf("%-12s %d", "GET /", root.Status))
		d.advise("Something answers here, but cuts calls. If a shim is on the way, perhaps with a proxy between you and it, look at its log (the field unanswered) and at its /readyz.")
	}
	return d
}
