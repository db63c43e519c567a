package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"powerjob-shim/internal/client"
	"powerjob-shim/rules/openapi"
)

const (
	shimHeader = "X-Powerjob-Shim"

	// nobody is an app that no server has.
	nobody = "powerjob-shim-doctor: no such app"
)

// errClosed: the connection was closed before the first byte of an answer.
var errClosed = errors.New("closed without an answer")

// errUnhealthy is what doctor ends with when all was said in its report.
var errUnhealthy = errors.New("not healthy, see above")

// probe is one request of the doctor. None can change anything: an unknown app
// is refused, reading the jobs of app 0 finds none, and a changing call by GET
// is refused by every server (their mappings are POST only) while a shim on
// the way marks its answer; so is runJob2, which older servers do not have at all.
// The second read has no app id header, as 4.x clients make it: a shim's gate
// says in its own words why it does not pass, or lets it pass; a server does neither.
type probe struct {
	path                                   string // instead of the call's
	call, method, query, contentType, body string
	header                                 []client.Field
}

const (
	probeLogin = iota
	probeAssert
	probeRead
	probeGet
	probeNew
	probeBare
)

var probes = [...]probe{
	probeLogin: {call: "authApp", method: "POST", contentType: "application/json; charset=utf-8",
		body: `{"appName":"` + nobody + `","encryptedPassword":"","encryptType":"md5"}`},
	probeAssert: {call: "assert", method: "POST", contentType: "application/x-www-form-urlencoded", body: "appName=" + url.QueryEscape(nobody)},
	probeRead: {call: "fetchAllJob", method: "POST", contentType: "application/x-www-form-urlencoded", body: "appId=0",
		header: []client.Field{{Name: openapi.AppIDHeader, Value: "0"}}},
	probeGet:  {call: "disableJob", method: "GET", query: "?jobId=-1&appId=0"},
	probeNew:  {call: "runJob2", method: "GET"},
	probeBare: {call: "fetchAllJob", method: "POST", contentType: "application/x-www-form-urlencoded", body: "appId=0"},
}

func newDoctorCmd() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "doctor URL",
		Short: "Tell whether a server, or the path to it, makes 5.x clients send everything twice",
		Long: `Tell whether a server, or the path to it, makes 5.x clients send everything twice.

It sends six harmless requests: two logins and two reads for an app that does not exist, and two GETs that every
server refuses. Nothing is changed and nobody is logged in. Run it where your client runs, with the address that the
client has: what stands between them counts. Exit code 0: healthy; 1: affected, misled, unreachable or no PowerJob.`,
		Example: "  powerjob-shim doctor http://powerjob.example.com:7700",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("doctor needs one address, the one that your clients have: powerjob-shim doctor http://powerjob.example.com:7700")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return doctor(cmd.Context(), cmd.OutOrStdout(), args[0], timeout)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how long each request may take")
	return cmd
}

// doctor examines one server and prints a report. The error is nil for a
// healthy one.
func doctor(ctx context.Context, out io.Writer, target string, timeout time.Duration) error {
	p, err := newPatient(target, timeout)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "powerjob-shim doctor %s\n\n", p.url)
	d := p.examine(ctx)
	if _, err := io.WriteString(out, d.String()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if !d.healthy {
		return errUnhealthy
	}
	return nil
}

// patient is a server to be examined.
type patient struct {
	server
	timeout time.Duration
}

func newPatient(target string, timeout time.Duration) (*patient, error) {
	if timeout <= 0 {
		return nil, fmt.Errorf("--timeout is %v; write a positive duration such as 5s", timeout)
	}
	server, err := parseServer(target)
	if err != nil {
		return nil, err
	}
	return &patient{server: server, timeout: timeout}, nil
}

// examine sends the probes one after the other, each on a connection of its own.
func (p *patient) examine(ctx context.Context) diagnosis {
	var h2 bool
	var tlsVersion string
	if p.url.Scheme == "https" {
		state, err := p.handshake(ctx)
		if err != nil {
			return unreachable(err)
		}
		h2, tlsVersion = state.NegotiatedProtocol == "h2", tls.VersionName(state.Version)
	}
	var seen [len(probes)]sight
	for i, pr := range probes {
		s, err := p.send(ctx, pr)
		if errors.Is(err, errClosed) && i < probeGet {
			root, err := p.send(ctx, probe{path: "/", method: "GET"})
			return unanswered(pr.call, root, err)
		}
		if err != nil && i < probeGet { // those after it do not decide
			return unreachable(fmt.Errorf("%s: %w", pr.call, err))
		}
		seen[i] = s
	}
	d := diagnose(newExamined(seen, h2, p.server))
	if tlsVersion != "" {
		d.facts = append([]string{tlsVersion + "; the certificate was not checked, as the Java client checks none"}, d.facts...)
	}
	return d
}

// handshake offers what the Java client offers (OkHttp: h2 and http/1.1).
func (p *patient) handshake(ctx context.Context) (tls.ConnectionState, error) {
	conn, err := p.dial(ctx, "h2", "http/1.1")
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState(), nil
}

func (p *patient) dial(ctx context.Context, protocols ...string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: p.timeout}
	if p.url.Scheme == "http" {
		return dialer.DialContext(ctx, "tcp", p.address)
	}
	config := &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // the Java client verifies nothing, and no secret is sent
		NextProtos:         protocols,
		ServerName:         p.url.Hostname(),
	}
	return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", p.address)
}

// send makes one request over a socket of its own: net/http would canonicalise
// the names that are to be looked at.
func (p *patient) send(ctx context.Context, pr probe) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	conn, err := p.dial(ctx, "http/1.1")
	if err != nil {
		return sight{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	var b strings.Builder
	path := pr.path
	if path == "" {
		path = p.prefix + openapi.Prefix + pr.call
	}
	fmt.Fprintf(&b, "%s %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: powerjob-shim-doctor\r\nConnection: close\r\n",
		pr.method, path, pr.query, p.url.Host)
	for _, f := range pr.header {
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
	}
	if pr.method == "POST" {
		fmt.Fprintf(&b, "Content-Type: %s\r\nContent-Length: %d\r\n", pr.contentType, len(pr.body))
	}
	b.WriteString("\r\n" + pr.body)
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return sight{}, err
	}
	in := bufio.NewReader(conn)
	if _, err := in.Peek(1); errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return sight{}, errClosed
	}
	r, err := client.ReadResponse(in)
	if err != nil {
		return sight{}, err
	}
	return look(r), nil
}
