package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// unreachable is the diagnosis of a server that did not answer a request.
func unreachable(err error) diagnosis {
	d := diagnosis{facts: []string{err.Error()}, verdict: "UNREACHABLE: there is no answer to examine."}
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.As(err, &dns):
		d.todo = []string{"The name cannot be resolved here. Check it, or run doctor where the client runs."}
	case errors.Is(err, syscall.ECONNREFUSED):
		d.todo = []string{"Nothing listens on this address. Check host and port (PowerJob's default is 7700)."}
	case errors.As(err, &network) && network.Timeout():
		d.todo = []string{"The answer took longer than --timeout. The Java client waits 2 s, then calls another address or gives up."}
	case errors.As(err, &record):
		d.todo = []string{"This port does not speak TLS. Try http:// instead of https://."}
	case strings.Contains(err.Error(), "unexpected status line"):
		d.todo = []string{"This is not an HTTP server, or it speaks TLS (then try https://) or HTTP/2 only (which no PowerJob client can use in plain text)."}
	default:
		d.todo = []string{"The connection failed or was cut. If this is a TLS port, try https://."}
	}
	return d
}

// unanswered is the diagnosis of a server that closes the connection on a call,
// by what it makes of a GET of /: a shim answers that in words.
func unanswered(call string, root sight, err error) diagnosis {
	d := diagnosis{
		facts:   []string{fmt.Sprintf("%-12s closed without an answer: a shim whose server is down, or nothing", call)},
		verdict: "UNREACHABLE: there is no answer to examine.",
	}
	switch {
	case err != nil:
		d.facts = append(d.facts, fmt.Sprintf("%-12s %v", "GET /", err))
		d.todo = []string{
			"The connection was cut, for / too. Check host and port (PowerJob's default is 7700).",
			"If this is a TLS port, try https://.",
		}
	case strings.HasPrefix(root.message, "powerjob-shim: "):
		d.facts = append(d.facts, fmt.Sprintf("%-12s %d, of a shim", "GET /", root.Status))
		d.verdict = "FAILING: a shim stands here, and its server does not answer. Clients go on to their next address."
		d.todo = []string{"It says: " + root.message}
	default:
		d.facts = append(d.facts, fmt.Sprintf("%-12s %d", "GET /", root.Status))
		d.todo = []string{"Something answers here, but cuts calls. If a shim is on the way, perhaps with a proxy between you and it, look at its log (the field unanswered) and at its /readyz."}
	}
	return d
}
