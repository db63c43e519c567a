package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strings"

	"go.uber.org/zap"

	"powerjob-shim/proxy/body"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/openapi"
)

var authHeaderKey = textproto.CanonicalMIMEHeaderKey(openapi.AuthHeader)

// forward sends a request to a server of its group and streams the answer to w.
// On a failure it sets the exchange's outcome and writes the error itself. An
// answer that breaks off after its header panics with http.ErrAbortHandler, as
// ReverseProxy does: the caller must not take it for a whole one.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, ex *exchange) {
	ex.outcome, ex.server, ex.failure, ex.fromUpstream, ex.denied = up.NotSent, nil, nil, false, false
	if !ex.group.upstream.Admit() {
		ex.unsent(w, http.StatusServiceUnavailable, unansweredMaxRequests, "upstream "+ex.group.name+" has max_requests in flight; nothing was sent, call again later")
		return
	}
	defer ex.group.upstream.Leave()
	defer func() {
		ex.server.Leave()
		broken := recover()
		if broken == nil {
			return
		}
		ex.outcome = up.Unknown
		if err, ok := broken.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			// The header may still be in a buffer. A connection that is cut
			// before its status line makes OkHttp silently send again.
			_ = http.NewResponseController(w).Flush()
		}
		panic(broken)
	}()
	if r.GetBody != nil { // it is held here
		p.forwardHeld(w, r, ex)
		return
	}
	ctx, done := ex.whileThere(r.Context())
	defer done()
	p.reverse.ServeHTTP(w, withExchange(r.WithContext(ctx), ex))
}

// newReverseProxy makes what forwards all that is streamed.
func (p *Proxy) newReverseProxy() *httputil.ReverseProxy {
	errorLog, _ := zap.NewStdLogAt(p.log, zap.DebugLevel) // fails for unknown levels only
	return &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     sender{},
		BufferPool:    &p.buffers,
		FlushInterval: -1, // nothing waits
		ErrorLog:      errorLog,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.forwardFailed(w, r, exchangeOf(r), err)
		},
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
	ex.address(out, in)
	if u := out.Header["Upgrade"]; len(u) > 0 && !strings.EqualFold(u[0], "websocket") {
		// A tunnel would pass the gate, the block list and dedup; a server may
		// ignore the wish (RFC 9110, 7.8).
		delete(out.Header, "Upgrade")
		delete(out.Header, "Connection")
	}
	if out.Body != nil {
		out.Body = &body.Moving{ReadCloser: out.Body, Answer: &ex.answer, In: &ex.in, Pace: ex.pace}
	}
	if out.Trailer != nil {
		delete(out.Trailer, authHeaderKey)
		ex.in.PassTrailers(in.Trailer, out.Trailer)
	}
}

// address makes out's target and header what a server is to get of in. The
// hop-by-hop headers are not in out any more.
func (ex *exchange) address(out, in *http.Request) {
	ex.setTarget(out.URL, in.Host)
	ex.setForwarded(out, in)
	h := out.Header
	h[requestIDHeader] = ex.value(valueID, ex.id)
	if !ex.snap.Observing {
		delete(h, authHeaderKey) // it is an answer's
	}
	if ex.group.issuer != nil { // the token is the shim's own, and the server knows neither
		delete(h, tokenKey)
		delete(h, appIDKey)
	}
	if in.GetBody != nil { // the body is here already
		ex.keepJudged(h, in.Header)
	}
	if ex.underOpenAPI() && (in.GetBody == nil || !ex.snap.Observing) {
		// With either, a proxy on the way that is written in Go takes a request without
		// a body for repeatable, and sends it again by itself on a stale connection.
		delete(h, "Idempotency-Key")
		delete(h, "X-Idempotency-Key")
	}
}

// keepJudged gives the server what the gate and the record went by, whatever a
// Connection header names.
func (ex *exchange) keepJudged(h, in http.Header) {
	if !ex.snap.Observing {
		delete(h, "Expect")
	}
	if ex.group.issuer != nil {
		return
	}
	for _, name := range [...]string{tokenKey, appIDKey, "Content-Type"} {
		if v, ok := in[name]; ok {
			h[name] = v
		}
	}
}

// forwardFailed answers for a server of which there is no answer, or none that can be
// passed on. It says to the caller what happened, what may have been executed,
// and what to do.
func (p *Proxy) forwardFailed(w http.ResponseWriter, r *http.Request, ex *exchange, err error) {
	ex.failure = err
	if ex.outcome == up.Answered { // an answer that cannot be passed on
		ex.outcome = up.Unknown
	}
	at, advice := "", "it may have been executed: look before you call again"
	if ex.origin.repeats {
		advice = "call again"
	}
	if ex.server != nil {
		at = " at " + ex.server.Name
	}
	stopping := errors.Is(err, errStopping) || errors.Is(context.Cause(r.Context()), errStopping)
	switch {
	case ex.in.Broken() != nil:
		// The caller's side broke, not the server's.
		ex.hungUp = errors.Is(ex.in.Broken(), io.ErrUnexpectedEOF) || r.Context().Err() != nil
		ex.failBody(w, ex.in.Broken())
	case stopping && ex.outcome == up.NotSent:
		ex.unsent(w, http.StatusServiceUnavailable, unansweredStopping, "stopping; nothing was sent to the server, call again")
	case stopping:
		ex.noAnswer(w, http.StatusGatewayTimeout, unansweredStopping, "stopping before the server"+at+" answered; "+advice)
	case (errors.Is(err, up.ErrHungUp) || errors.Is(r.Context().Err(), context.Canceled)) && ex.outcome == up.NotSent:
		ex.hungUp = true
		ex.unsent(w, http.StatusBadGateway, unansweredCallerGone, "the caller closed the connection; nothing was sent to the server")
	case errors.Is(err, up.ErrHungUp), errors.Is(r.Context().Err(), context.Canceled):
		ex.hungUp = true
		ex.fail(w, http.StatusBadGateway, "the caller closed the connection before the server"+at+" answered; "+advice)
	case errors.Is(err, up.ErrAllFull):
		ex.unsent(w, http.StatusServiceUnavailable, unansweredMaxConnections, "the servers of upstream "+ex.group.name+" have max_connections in use; nothing was sent, call again later")
	case ex.outcome == up.NotSent && ex.group.upstream.AllDown():
		ex.unsent(w, http.StatusServiceUnavailable, unansweredUnhealthy, "no server of upstream "+ex.group.name+" is healthy, and none can be connected to. Nothing was sent")
	case ex.outcome == up.NotSent:
		ex.unsent(w, http.StatusBadGateway, unansweredConnect, "cannot reach the PowerJob server"+at+": "+dialProblem(err)+
			". Nothing was sent. Check that it runs, and the address under upstreams."+ex.group.name+".servers")
	case connect.IsTimeout(err):
		ex.noAnswer(w, http.StatusGatewayTimeout, unansweredNoAnswer, "the PowerJob server"+at+" did not answer within "+
			ex.patience().String()+"; "+advice)
	default:
		ex.noAnswer(w, http.StatusBadGateway, unansweredNoAnswer, "the PowerJob server"+at+" broke the connection before it answered; "+advice)
	}
}
