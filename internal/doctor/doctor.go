// Package doctor tells whether a PowerJob server, or the path to it, makes 5.x
// clients send every call twice, and why.
//
//	server, err := address.Parse("http://powerjob.example.com:7700")
//	finding := doctor.Examine(ctx, doctor.Target{Server: server})
//	fmt.Print(finding) // for people; it is JSON, too
//
// It sends six harmless requests. The doctor command runs it from the client's
// side; a shim examines its own servers with it, for /status.
package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"powerjob-shim/internal/address"
	"powerjob-shim/internal/wireclient"
)

// DefaultTimeout is how long each request may take.
const DefaultTimeout = 5 * time.Second

// Target is a server to be examined.
type Target struct {
	Server  address.Server
	Host    string         // the Host header; "": the URL's host
	Timeout time.Duration  // of each request; 0: DefaultTimeout
	Roots   *x509.CertPool // the roots of clients that check certificates; nil: the system's

	// Connect connects to the server, its TLS included. Nil: Examine connects to
	// Server as the Java client would.
	Connect func(ctx context.Context) (net.Conn, error)
	// Own: a shim examines its own server, and the advice is for that shim.
	Own bool
}

// ExamineAll examines the servers of a client's list of addresses at the same time,
// and returns their findings in order. When ctx ends, so do the requests.
func ExamineAll(ctx context.Context, targets []Target) []Finding {
	findings := make([]Finding, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { findings[i] = Examine(ctx, t) })
	}
	wg.Wait()
	return findings
}

// Examine sends the probes to one server, one after the other, each on a
// connection of its own.
func Examine(ctx context.Context, t Target) Finding {
	if t.Timeout <= 0 {
		t.Timeout = DefaultTimeout
	}
	d := t.examine(ctx)
	d.URL = t.Server.Base()
	if t.Own {
		d.adviseItsShim()
	}
	return d.Finding
}

func (t Target) examine(ctx context.Context) *diagnosis {
	var secure *TLS
	if t.Server.URL.Scheme == "https" && t.Connect == nil {
		state, err := t.handshake(ctx)
		if err != nil {
			return unreachable(err)
		}
		secure = t.judge(state)
	}
	var seen [len(probes)]sight
	for i, pr := range probes {
		s, err := t.send(ctx, pr)
		if errors.Is(err, wireclient.ErrClosed) && i < probeGet {
			root, err := t.ask(ctx, wireclient.Request{Method: "GET", Path: "/"})
			return unanswered(pr.call, root, err)
		}
		if err != nil && i < probeGet { // later probes can fail without an influence on the verdict
			return unreachable(fmt.Errorf("%s: %w", pr.call, err))
		}
		seen[i] = s
	}
	return diagnose(newExamined(seen, secure, t.Server))
}

// handshake offers what the Java client offers (OkHttp: h2 and http/1.1).
func (t Target) handshake(ctx context.Context) (tls.ConnectionState, error) {
	conn, err := t.dial(ctx, "h2", "http/1.1")
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState(), nil
}

// judge says what clients think of a TLS connection: the Java client checks no
// certificate, others do.
func (t Target) judge(state tls.ConnectionState) *TLS {
	secure := &TLS{Version: tls.VersionName(state.Version), HTTP2: state.NegotiatedProtocol == "h2"}
	chain := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		chain.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: t.Server.URL.Hostname(), Intermediates: chain, Roots: t.Roots})
	if secure.Verifies = err == nil; err != nil {
		secure.Problem = err.Error()
	}
	return secure
}

func (t Target) dial(ctx context.Context, protocols ...string) (net.Conn, error) {
	if t.Connect != nil {
		return t.Connect(ctx)
	}
	dialer := &net.Dialer{Timeout: t.Timeout}
	if t.Server.URL.Scheme == "http" {
		return dialer.DialContext(ctx, "tcp", t.Server.Address)
	}
	config := &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // the Java client verifies nothing, and no secret is sent
		NextProtos:         protocols,
		ServerName:         t.Server.URL.Hostname(),
	}
	return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", t.Server.Address)
}
