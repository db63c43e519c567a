package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// DialError says why no connection could be made.
type DialError struct {
	Address  string    // "host:port", as it is configured
	Lookup   error     // why the lookup failed; nil: it did not, or Address has an IP address
	Attempts []Attempt // in the order in which they failed; empty: no address is known
}

// Attempt is one address that was tried.
type Attempt struct {
	Address netip.AddrPort
	Err     error
}

// Error implements error.
func (e *DialError) Error() string { return "connecting to " + e.Address + ": " + e.Problem() }

// Problem names each address that was tried and why it failed, in few words.
func (e *DialError) Problem() string {
	if len(e.Attempts) == 0 {
		return "its name cannot be resolved (" + lookupProblem(e.Lookup) + ")"
	}
	said := make([]string, len(e.Attempts))
	for i, a := range e.Attempts {
		said[i] = Problem(a.Err)
		if to := a.Address.String(); to != e.Address {
			said[i] = to + ": " + said[i]
		}
	}
	all := strings.Join(said, "; ")
	if e.Lookup != nil {
		all += "; these are its last known addresses, the name cannot be resolved now (" + lookupProblem(e.Lookup) + ")"
	}
	return all
}

// Unwrap returns the errors of the lookup and of each attempt.
func (e *DialError) Unwrap() []error {
	var all []error
	if e.Lookup != nil {
		all = append(all, e.Lookup)
	}
	for _, a := range e.Attempts {
		all = append(all, a.Err)
	}
	return all
}

// timedOut adds the attempts that had not failed when ctx ended.
func (e *DialError) timedOut(ctx context.Context, tried []netip.AddrPort) {
	why := ctx.Err()
	if errors.Is(why, context.DeadlineExceeded) {
		why = errNoAnswer
	}
	for _, a := range tried {
		if !slices.ContainsFunc(e.Attempts, func(o Attempt) bool { return o.Address == a }) {
			e.Attempts = append(e.Attempts, Attempt{a, why})
		}
	}
}

// noAnswer is the net.Error of a wait that took too long.
type noAnswer string

func (e noAnswer) Error() string { return string(e) }
func (noAnswer) Timeout() bool   { return true }
func (noAnswer) Temporary() bool { return true }

const (
	errNoAnswer   noAnswer = "no answer in time"
	errLookupSlow noAnswer = "no answer from the name servers in time"
)

// Problem says in a few words why a connection could not be made. Callers may see it:
// of the inside it tells only addresses.
func Problem(err error) string {
	var (
		dial *DialError
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		head tls.RecordHeaderError
		pin  *PinError
		nerr net.Error
	)
	switch {
	case errors.As(err, &dial):
		return dial.Problem()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &dns):
		return "its name cannot be resolved (" + lookupProblem(err) + ")"
	case errors.As(err, &cert):
		return "its certificate is not trusted"
	case errors.As(err, &pin):
		return "its certificate is not trusted: " + pin.Error()
	case errors.As(err, &head):
		return "it does not speak TLS"
	case errors.As(err, &nerr) && nerr.Timeout():
		return "connecting timed out"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no way to its address"
	}
	return "connecting failed"
}

func lookupProblem(err error) string {
	var dns *net.DNSError
	switch {
	case err == nil:
		return errNoAddress.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such host"
	case errors.As(err, &dns) && dns.IsTimeout:
		return errLookupSlow.Error()
	case errors.As(err, &dns):
		return dns.Err
	}
	return err.Error()
}

// IsTimeout reports whether an error means that something took too long.
func IsTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
