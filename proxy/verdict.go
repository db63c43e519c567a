package proxy

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"powerjob-shim/proxy/upstream/connect"
)

// checkedApp is what the servers are asked about. PowerJob answers 200 and says
// that there is no such app; nothing is changed.
const checkedApp = "appName=powerjob-shim-health-check&password="

// verdict is what a question to a server has shown.
type verdict struct {
	ready   bool
	problem string // why it is not ready, or, if it is, what does not fit; "": nothing
	advice  string // what to write instead
	unsent  bool   // nobody was there to be asked
}

// assess asks a server the harmless /openApi/assert, as a call would be sent:
// with its TLS, its Host and its prefix.
//
// No connection, no TLS, a TLS port's 400, 508 (it leads back here) and 5xx mean
// that it is not ready. Every other answer only gives a warning, unless it is
// PowerJob's: a virtual host may know other names than the one that was asked for.
func (g *upstreamGroup) assess(ctx context.Context, client http.RoundTripper, s *server) verdict {
	req, err := g.question(ctx, s)
	if err != nil {
		return verdict{problem: err.Error()}
	}
	res, err := client.RoundTrip(req)
	if err != nil {
		return g.noAnswer(ctx, s, err)
	}
	// A 101's body is the connection itself, which knows nothing of ctx.
	stop := context.AfterFunc(ctx, func() { _ = res.Body.Close() })
	defer stop()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // what is there must do
	_ = res.Body.Close()                                   // only that counts
	switch {
	case res.StatusCode == http.StatusBadRequest && s.url.Scheme == "http" && g.speaksTLS(ctx, s):
		return g.wantsTLS(s)
	case res.StatusCode == http.StatusLoopDetected:
		return verdict{problem: "it leads back to this shim (status 508)", advice: "write the PowerJob server's own address under " + g.key("servers")}
	case res.StatusCode >= http.StatusInternalServerError:
		return verdict{problem: fmt.Sprintf("status %d", res.StatusCode), advice: "look at the server's log, or at what is in front of it"}
	case res.StatusCode >= 300 && res.StatusCode < 400 && res.Header.Get("Location") != "":
		return verdict{ready: true, problem: fmt.Sprintf("it redirects (status %d) to %.100q", res.StatusCode, res.Header.Get("Location")),
			advice: "write that address under " + g.key("servers")}
	case res.StatusCode != http.StatusOK:
		return verdict{ready: true, problem: fmt.Sprintf("status %d to %s", res.StatusCode, req.URL.Path),
			advice: g.key("host") + " if it is a virtual host for another name, " + g.key("openapi_prefix") + " if it is under a context path, else the right address under " + g.key("servers")}
	case !isEnvelope(body):
		return verdict{ready: true, problem: "its answer is not PowerJob's",
			advice: "check the address under " + g.key("servers") + " and " + g.key("openapi_prefix")}
	}
	return verdict{ready: true}
}

// question is what a server is asked.
func (g *upstreamGroup) question(ctx context.Context, s *server) (*http.Request, error) {
	url := s.url.Scheme + "://" + s.name + g.settings.prefix() + "/assert"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(checkedApp))
	if err != nil {
		return nil, err
	}
	req.Host = g.settings.hostFor(s)
	if host := g.routedHost.Load(); req.Host == "" && host != nil {
		req.Host = *host
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "powerjob-shim health check")
	return req, nil
}

// noAnswer says what an error of a question means.
func (g *upstreamGroup) noAnswer(ctx context.Context, s *server, err error) verdict {
	var (
		dial *connect.DialError
		head tls.RecordHeaderError
		cert *tls.CertificateVerificationError
	)
	v := verdict{problem: connect.Problem(err), unsent: notSent(err)}
	switch {
	case errors.As(err, &head):
		v.advice = "write http://" + s.name + " under " + g.key("servers")
	case errors.As(err, &cert):
		v.problem += " (" + cert.Err.Error() + ")"
		v.advice = "write the authority's certificate under " + g.key("tls.ca_file") + ", the name in the certificate under " + g.key("tls.server_name")
		if len(cert.UnverifiedCertificates) > 0 {
			v.advice += ", or, when you have compared it, its key's hash under " + g.key("tls.pin_sha256") + `: ["` + connect.PinOf(cert.UnverifiedCertificates[0]) + `"]`
		}
	case errors.As(err, &dial):
		v.advice = "check that it runs, and the address under " + g.key("servers")
	case s.url.Scheme == "http" && g.speaksTLS(ctx, s):
		return g.wantsTLS(s)
	case isTimeout(err):
		v.problem = "it takes connections, but did not answer within " + probeWithin.String()
	default:
		v.problem = "it takes connections, but did not answer in HTTP (" + err.Error() + ")"
		v.advice = "check the address under " + g.key("servers")
	}
	return v
}

func (g *upstreamGroup) wantsTLS(s *server) verdict {
	return verdict{problem: "it speaks TLS", advice: "write https://" + s.name + " under " + g.key("servers")}
}

func (g *upstreamGroup) key(name string) string { return "upstreams." + g.name + "." + name }

// speaksTLS reports whether a server that is to be spoken to in plain text answers
// a TLS handshake. Nothing but the handshake is sent.
func (g *upstreamGroup) speaksTLS(ctx context.Context, s *server) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connect.Timeout)
	defer cancel()
	conn, err := g.dial(ctx, s.name)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }() // nothing is left to be said
	seen := false
	config := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // nothing is said to the server; only whether it answers counts
		VerifyConnection:   func(tls.ConnectionState) error { seen = true; return nil },
	}
	err = tls.Client(conn, config).HandshakeContext(ctx)
	// An alert, such as that there is no version in common, is TLS, too.
	return err == nil || seen || strings.Contains(err.Error(), "remote error: tls:")
}

// isEnvelope reports whether a body is how PowerJob answers (ResultDTO).
func isEnvelope(body []byte) bool {
	var answer struct {
		Success *bool `json:"success"`
	}
	return json.Unmarshal(body, &answer) == nil && answer.Success != nil
}

// healthy returns why a server is not ready, nil if it is.
func (v verdict) healthy() error {
	if v.ready {
		return nil
	}
	return errors.New(v.problem)
}

// waitForVerdict bounds how long /readyz waits for what the first probes find.
const waitForVerdict = 500 * time.Millisecond
