package probe

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"powerjob-shim/proxy/upstream/connect"
)

// checkedApp is the body of the question. PowerJob answers 200 and says that there is no
// such app; nothing is changed.
const checkedApp = "appName=powerjob-shim-health-check&password="

// Verdict is the result of asking a server.
type Verdict struct {
	Ready   bool
	Problem string // why it is not ready, or a warning if it is; "": none
	Advice  string // what to write into the configuration instead
	unsent  bool   // the server could not be reached
}

// Err returns why the server is not ready, nil if it is.
func (v Verdict) Err() error {
	if v.Ready {
		return nil
	}
	return errors.New(v.Problem)
}

// Target is a server that can be asked, in the same way as a call would be sent to it.
// Safe for concurrent use.
type Target struct {
	Group  string        // its group's name, for the advice
	Scheme string        // http or https
	Server string        // host:port
	Prefix string        // of the paths of calls
	Host   func() string // the Host header; "": the server's address

	// Dial makes a connection to the server, with TLS if it is an https server.
	Dial func(context.Context) (net.Conn, error)
	// Client sends the question, by Dial: see NewClient.
	Client http.RoundTripper
}

// NewClient returns a client for Target.Client. It makes each connection with dial, and
// a new one for each question, because connecting is part of the question. It adds
// nothing to requests (no Accept-Encoding).
func NewClient(dial func(context.Context) (net.Conn, error)) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	byContext := func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
	return &http.Transport{
		DialContext:        byContext,
		DialTLSContext:     byContext,
		DisableKeepAlives:  true,
		DisableCompression: true,
		Protocols:          protocols,
	}
}

// Ask asks a server the harmless /openApi/assert, as a call would be sent: with
// its TLS, its Host and its prefix.
//
// The server is not ready if connecting or TLS fails, or if it answers with a TLS port's
// 400, with 508 (it leads back here) or with another 5xx. Any other answer that is not
// PowerJob's only gives a warning: a virtual host may know other names than the one
// that was asked for.
func (t *Target) Ask(ctx context.Context) Verdict {
	req, err := t.question(ctx)
	if err != nil {
		return Verdict{Problem: err.Error()}
	}
	res, err := t.Client.RoundTrip(req)
	if err != nil {
		return t.noAnswer(ctx, err)
	}
	// A 101's body is the connection itself, which knows nothing of ctx.
	stop := context.AfterFunc(ctx, func() { _ = res.Body.Close() })
	defer stop()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // a part is judged as it is
	_ = res.Body.Close()                                   // the rest is not needed
	switch {
	case res.StatusCode == http.StatusBadRequest && t.Scheme == "http" && t.speaksTLS(ctx):
		return t.wantsTLS()
	case res.StatusCode == http.StatusLoopDetected:
		return Verdict{Problem: "it leads back to this shim (status 508)", Advice: "write the PowerJob server's own address under " + t.key("servers")}
	case res.StatusCode >= http.StatusInternalServerError:
		return Verdict{Problem: fmt.Sprintf("status %d", res.StatusCode), Advice: "look at the server's log, or at what is in front of it"}
	case res.StatusCode >= 300 && res.StatusCode < 400 && res.Header.Get("Location") != "":
		return Verdict{Ready: true, Problem: fmt.Sprintf("it redirects (status %d) to %.100q", res.StatusCode, res.Header.Get("Location")),
			Advice: "write that address under " + t.key("servers")}
	case res.StatusCode != http.StatusOK:
		return Verdict{Ready: true, Problem: fmt.Sprintf("status %d to %s", res.StatusCode, req.URL.Path),
			Advice: t.key("host") + " if it is a virtual host for another name, " + t.key("openapi_prefix") + " if it is under a context path, else the right address under " + t.key("servers")}
	case !isEnvelope(body):
		return Verdict{Ready: true, Problem: "its answer is not PowerJob's",
			Advice: "check the address under " + t.key("servers") + " and " + t.key("openapi_prefix")}
	}
	return Verdict{Ready: true}
}

// question returns the request that a server is asked with.
func (t *Target) question(ctx context.Context) (*http.Request, error) {
	url := t.Scheme + "://" + t.Server + t.Prefix + "/assert"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(checkedApp))
	if err != nil {
		return nil, err
	}
	req.Host = t.Host()
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "powerjob-shim health check")
	return req, nil
}

// noAnswer returns the verdict for an error of sending the question.
func (t *Target) noAnswer(ctx context.Context, err error) Verdict {
	var (
		dial *connect.DialError
		head tls.RecordHeaderError
		cert *tls.CertificateVerificationError
	)
	v := Verdict{Problem: connect.Problem(err), unsent: notSent(err)}
	switch {
	case errors.As(err, &head):
		v.Advice = "write http://" + t.Server + " under " + t.key("servers")
	case errors.As(err, &cert):
		v.Problem += " (" + cert.Err.Error() + ")"
		v.Advice = "write the authority's certificate under " + t.key("tls.ca_file") + ", the name in the certificate under " + t.key("tls.server_name")
		if len(cert.UnverifiedCertificates) > 0 {
			v.Advice += ", or, when you have compared it, its key's hash under " + t.key("tls.pin_sha256") + `: ["` + connect.PinOf(cert.UnverifiedCertificates[0]) + `"]`
		}
	case errors.As(err, &dial):
		v.Advice = "check that it runs, and the address under " + t.key("servers")
	case t.Scheme == "http" && t.speaksTLS(ctx):
		return t.wantsTLS()
	case connect.IsTimeout(err):
		v.Problem = "it takes connections, but did not answer within " + within.String()
	default:
		v.Problem = "it takes connections, but did not answer in HTTP (" + err.Error() + ")"
		v.Advice = "check the address under " + t.key("servers")
	}
	return v
}

func (t *Target) wantsTLS() Verdict {
	return Verdict{Problem: "it speaks TLS", Advice: "write https://" + t.Server + " under " + t.key("servers")}
}

func (t *Target) key(name string) string { return "upstreams." + t.Group + "." + name }

// speaksTLS reports whether a server that is configured without TLS answers a TLS
// handshake. Nothing but the handshake is sent.
func (t *Target) speaksTLS(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connect.Timeout)
	defer cancel()
	conn, err := t.Dial(ctx)
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

// notSent reports whether an error means that the server could not be reached.
func notSent(err error) bool {
	var dial *connect.DialError
	var dns *net.DNSError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &dial) && len(dial.Attempts) == 0 || errors.As(err, &dns)
}

// isEnvelope reports whether a body is a PowerJob answer (ResultDTO).
func isEnvelope(body []byte) bool {
	var answer struct {
		Success *bool `json:"success"`
	}
	return json.Unmarshal(body, &answer) == nil && answer.Success != nil
}
