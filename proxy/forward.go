package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/metrics"
	"powerjob-shim/rules/openapi"
)

var authHeaderKey = textproto.CanonicalMIMEHeaderKey(openapi.AuthHeader)

// forward sends a request to a server of its group and streams the answer to w.
// On a failure it sets the exchange's outcome and writes the error itself. An
// answer that breaks off after its header panics with http.ErrAbortHandler, as
// ReverseProxy does: the caller must not take it for a whole one.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	ex := exchangeOf(r)
	ex.outcome, ex.server, ex.failure, ex.fromUpstream, ex.denied = outcomeNotSent, nil, nil, false, false
	if !ex.group.admit() {
		ex.fail(w, http.StatusServiceUnavailable, "upstream "+ex.group.name+" has max_requests in flight; nothing was sent, call again later")
		return
	}
	defer ex.group.leave()
	defer func() {
		if ex.server != nil {
			ex.server.inFlight.Add(-1)
		}
		broken := recover()
		if broken == nil {
			return
		}
		ex.outcome = outcomeUnknown
		if err, ok := broken.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			// The header may still be in a buffer. A connection that is cut
			// before its status line makes OkHttp silently send again.
			_ = http.NewResponseController(w).Flush()
		}
		panic(broken)
	}()
	p.reverse.ServeHTTP(w, r)
}

func (p *Proxy) newReverseProxy() *httputil.ReverseProxy {
	errorLog, _ := zap.NewStdLogAt(p.log, zap.DebugLevel) // fails for unknown levels only
	return &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     sender{p.metrics, p.log},
		BufferPool:    newBuffers(),
		FlushInterval: -1, // nothing waits in a buffer here
		ErrorLog:      errorLog,
		ErrorHandler:  p.forwardFailed,
		ModifyResponse: func(res *http.Response) error {
			exchangeOf(res.Request).fromUpstream = true
			return nil
		},
	}
}

// rewrite makes the request that goes upstream: what came, but for the
// hop-by-hop headers, which ReverseProxy has removed, and what is named here.
func rewrite(pr *httputil.ProxyRequest) {
	in, out, ex := pr.In, pr.Out, exchangeOf(pr.In)
	setTarget(out.URL, in)
	ex.setForwarded(out, in)
	h := out.Header
	h[requestIDHeader] = []string{ex.id}
	delete(h, authHeaderKey)    // it is an answer's
	if ex.group.issuer != nil { // the token is the shim's own, and the server knows neither
		delete(h, tokenKey)
		delete(h, appIDKey)
	}
	if in.GetBody != nil && ex.group.issuer == nil {
		// What the gate and the record went by must be what the server gets,
		// whatever a Connection header names.
		for _, name := range [...]string{tokenKey, appIDKey, "Content-Type"} {
			if v, ok := in.Header[name]; ok {
				h[name] = v
			}
		}
	}
	if ex.underOpenAPI() {
		// With either, net/http's Transport takes a request without a body for
		// repeatable, and sends it again by itself on a stale connection.
		delete(h, "Idempotency-Key")
		delete(h, "X-Idempotency-Key")
	}
	if in.GetBody != nil { // the body is here already
		delete(h, "Expect")
		out.Body = in.Body // unwrapped, it goes out in one write with the header
	} else if out.Body != nil {
		out.Body = movingBody{out.Body, http.NewResponseController(&ex.answer)}
	}
	if out.Trailer != nil {
		delete(out.Trailer, authHeaderKey)
		ex.in.from, ex.in.to = in.Trailer, out.Trailer
	}
}

// setTarget makes u, of which the sender fills in scheme and host, write the
// request target exactly as it came. net/url would re-encode some characters,
// and ReverseProxy has re-encoded a query with ";".
func setTarget(u *url.URL, in *http.Request) {
	target := requestURI(in)
	if !strings.HasPrefix(target, "//") {
		*u = url.URL{Opaque: target}
		return
	}
	// An opaque part with two slashes would be written in absolute-form. The
	// parsed path is the same bytes but for what net/url must re-encode; then
	// absolute-form it is.
	*u = url.URL{Path: in.URL.Path, RawPath: in.URL.RawPath, RawQuery: in.URL.RawQuery, ForceQuery: in.URL.ForceQuery}
	if u.RequestURI() != target {
		*u = url.URL{Opaque: "//" + in.Host + target}
	}
}

// sender is the Transport of the ReverseProxy: it chooses a server of the
// exchange's group, and another one while nothing has been sent.
type sender struct {
	metrics *metrics.Metrics
	log     *zap.Logger
}

var errNoStatus = errors.New("the server's answer has no valid status")

var errAllFull = errors.New("each server has max_connections in use")

// RoundTrip implements http.RoundTripper. It keeps the exchange's outcome.
func (s sender) RoundTrip(out *http.Request) (*http.Response, error) {
	ex := exchangeOf(out)
	var tried sent
	trace := &httptrace.ClientTrace{GotConn: tried.got}
	out = out.WithContext(httptrace.WithClientTrace(out.Context(), trace))
	if out.Body != nil && out.GetBody == nil { // a streamed one
		body := io.Reader(out.Body)
		if out.ContentLength > 0 {
			// net/http's Transport reads on after the last byte, to see that
			// there is no more. By then the server may have answered and ours
			// have closed the body, and the Transport would break off the answer.
			body = io.LimitReader(body, out.ContentLength)
		}
		out.Body = io.NopCloser(body) // an attempt that could not connect must not close it
	}
	var (
		res *http.Response
		err = errAllFull
	)
	servers, again := ex.group.candidates(), true
	for i := 0; i < len(servers); i++ {
		srv := servers[i]
		if !take(&srv.inFlight, ex.group.settings.MaxConnections) {
			continue
		}
		if ex.server != nil {
			ex.server.inFlight.Add(-1)
		}
		ex.server = srv
		out.URL.Scheme, out.URL.Host = srv.url.Scheme, srv.name
		tried = sent{}
		began := time.Now()
		res, err = ex.group.transport.RoundTrip(out)
		ex.upstream = time.Since(began)
		s.count(ex, res)
		if err == nil && res.StatusCode < 100 {
			_ = res.Body.Close() // there is nothing in it for anybody
			res, err = nil, errNoStatus
		}
		if err == nil {
			ex.group.answered(srv, res.StatusCode, s.log)
			ex.outcome = outcomeAnswered
			ex.denied = isFalse(authValue(res.Header[authHeaderKey]))
			keepNamed(res.Header, ex.match.Headers)
			return res, nil
		}
		if ex.outcome = outcomeUnknown; nothingSent(out, &tried) {
			ex.outcome = outcomeNotSent
		}
		if ex.in.broken() != nil || errors.Is(out.Context().Err(), context.Canceled) {
			break // that was not the server
		}
		if ex.outcome == outcomeNotSent && tried.conn != nil && rewind(out) {
			// The connection had ended before anything was written to it, which
			// says little about the server: once, it is tried again.
			if again {
				again = false
				i--
			}
			continue
		}
		ex.group.failed(srv, s.log)
		if ex.outcome != outcomeNotSent || tried.conn != nil || out.Context().Err() != nil {
			break
		}
		ex.group.refused(srv, err, s.log)
	}
	return nil, err
}

// rewind makes a request's body, some of which may have been read, begin anew.
// It reports whether that was possible.
func rewind(out *http.Request) bool {
	if out.Body == nil || out.GetBody == nil {
		return out.Body == nil
	}
	body, err := out.GetBody()
	out.Body = body
	return err == nil
}

// nothingSent reports whether a request that failed is known to have had no byte
// written. While the Transport gives a request up because time is over, it may
// still be writing.
func nothingSent(out *http.Request, s *sent) bool {
	return s.conn == nil && !s.maybe || !s.any() && out.Context().Err() == nil
}

func (s sender) count(ex *exchange, res *http.Response) {
	status := 0
	if res != nil {
		status = res.StatusCode
		s.metrics.UpstreamDuration.WithLabelValues(ex.group.name).Observe(ex.upstream.Seconds())
	}
	s.metrics.UpstreamRequests.WithLabelValues(ex.group.name, ex.callName(), metrics.Code(status)).Inc()
}

// forwardFailed is ReverseProxy's ErrorHandler: no answer, or none that can be
// passed on. It says to the caller what happened, what may have been executed,
// and what to do.
func (p *Proxy) forwardFailed(w http.ResponseWriter, r *http.Request, err error) {
	ex := exchangeOf(r)
	ex.failure = err
	if ex.outcome == outcomeAnswered { // an answer that cannot be passed on
		ex.outcome = outcomeUnknown
	}
	at, advice := "", "it may have been executed: look before you call again"
	if ex.server != nil {
		at = " at " + ex.server.name
	}
	stopping := errors.Is(context.Cause(r.Context()), errStopping)
	var timeout net.Error
	switch {
	case ex.in.broken() != nil:
		// The caller's side broke, not the server's.
		ex.hungUp = errors.Is(ex.in.broken(), io.ErrUnexpectedEOF) || r.Context().Err() != nil
		ex.failBody(w, ex.in.broken())
	case stopping && ex.outcome == outcomeNotSent:
		ex.fail(w, http.StatusServiceUnavailable, "stopping; nothing was sent to the server, call again")
	case stopping:
		ex.fail(w, http.StatusGatewayTimeout, "stopping before the server"+at+" answered; "+advice)
	case errors.Is(r.Context().Err(), context.Canceled):
		ex.hungUp = true
		ex.fail(w, http.StatusBadGateway, "the caller closed the connection before the server"+at+" answered; "+advice)
	case errors.Is(err, errAllFull):
		ex.fail(w, http.StatusServiceUnavailable, "the servers of upstream "+ex.group.name+" have max_connections in use; nothing was sent, call again later")
	case ex.outcome == outcomeNotSent && ex.group.allDown():
		ex.fail(w, http.StatusServiceUnavailable, "no server of upstream "+ex.group.name+" is healthy, and none can be connected to. Nothing was sent")
	case ex.outcome == outcomeNotSent:
		ex.fail(w, http.StatusBadGateway, "cannot reach the PowerJob server"+at+": "+dialProblem(err)+
			". Nothing was sent. Check that it runs, and the address under upstreams."+ex.group.name+".servers")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		ex.fail(w, http.StatusGatewayTimeout, "the PowerJob server"+at+" did not answer within "+
			ex.group.settings.Timeout.String()+"; "+advice)
	default:
		ex.fail(w, http.StatusBadGateway, "the PowerJob server"+at+" broke the connection before it answered; "+advice)
	}
}
