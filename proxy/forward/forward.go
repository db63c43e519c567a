package forward

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
	"strings"

	"go.uber.org/zap"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/body"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/exchange/headercase"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/openapi"
)

// Forwarder sends requests to servers: streams through a ReverseProxy, calls that
// are held directly. Make one with New; it is safe for concurrent use.
type Forwarder struct {
	log     *zap.Logger
	metrics *metrics.Metrics
	life    context.Context // the context of calls that outlive their callers
	reverse *httputil.ReverseProxy
	buffers buffers
}

// New returns a Forwarder whose detached calls end with life.
func New(life context.Context, log *zap.Logger, m *metrics.Metrics) *Forwarder {
	f := &Forwarder{log: log, metrics: m, life: life}
	f.reverse = f.newReverseProxy()
	return f
}

// Forward sends a request to a server of its group and streams the answer to w.
// On a failure it sets the exchange's outcome and writes the error itself. An
// answer that breaks off after its header panics with http.ErrAbortHandler, as
// ReverseProxy does: the caller must not take it for a whole one.
func (f *Forwarder) Forward(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
	ex.Reached, ex.Server, ex.Failure, ex.FromUpstream, ex.Denied = up.NotSent, nil, nil, false, false
	if !ex.Group.Upstream.Admit() {
		ex.Unsent(w, http.StatusServiceUnavailable, exchange.UnansweredMaxRequests, "upstream "+ex.Group.Name+" has max_requests in flight; nothing was sent, call again later")
		return
	}
	defer ex.Group.Upstream.Leave()
	defer func() {
		ex.Server.Leave()
		broken := recover()
		if broken == nil {
			return
		}
		ex.Reached = up.Unknown
		if err, ok := broken.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			// The header may still be in a buffer. A connection that is cut
			// before its status line makes OkHttp silently send again.
			_ = http.NewResponseController(w).Flush()
		}
		panic(broken)
	}()
	if r.GetBody != nil { // it is held here
		f.held(w, r, ex)
		return
	}
	// The server may answer before it has the whole body. Without this the answer's
	// head would wait for the body, and end it.
	_ = http.NewResponseController(&ex.Answer).EnableFullDuplex() // both our servers can
	ctx, done := ex.WhileThere(r.Context())
	defer done()
	f.reverse.ServeHTTP(w, withExchange(r.WithContext(ctx), ex))
}

// newReverseProxy makes the proxy for streamed requests.
func (f *Forwarder) newReverseProxy() *httputil.ReverseProxy {
	errorLog, _ := zap.NewStdLogAt(f.log, zap.DebugLevel) // fails for unknown levels only
	return &httputil.ReverseProxy{
		Rewrite:       outgoing,
		Transport:     sender{},
		BufferPool:    &f.buffers,
		FlushInterval: -1, // each piece is flushed at once
		ErrorLog:      errorLog,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			failed(w, r, exchangeOf(r), err)
		},
		ModifyResponse: func(res *http.Response) error {
			exchangeOf(res.Request).FromUpstream = true
			return nil
		},
	}
}

// outgoing prepares a streamed request for the server. ReverseProxy has removed the
// hop-by-hop headers; other changes than those made here are not intended.
func outgoing(pr *httputil.ProxyRequest) {
	in, out, ex := pr.In, pr.Out, exchangeOf(pr.In)
	prepare(ex, out, in)
	if u := out.Header["Upgrade"]; len(u) > 0 && !strings.EqualFold(u[0], "websocket") {
		// A tunnel would pass the gate, the block list and dedup; a server may
		// ignore the wish (RFC 9110, 7.8).
		delete(out.Header, "Upgrade")
		delete(out.Header, "Connection")
	}
	if out.Body != nil {
		out.Body = &body.Moving{ReadCloser: out.Body, Answer: &ex.Answer, In: &ex.In, Pace: ex.Pace}
	}
	if out.Trailer != nil {
		delete(out.Trailer, openapi.AuthKey)
		ex.In.PassTrailers(in.Trailer, out.Trailer)
	}
}

type exchangeKey struct{}

// exchangeOf returns the exchange that withExchange has put into r's context, which is
// all that ReverseProxy passes on with a request.
func exchangeOf(r *http.Request) *exchange.Exchange {
	return r.Context().Value(exchangeKey{}).(*exchange.Exchange)
}

// withExchange returns r carrying ex.
func withExchange(r *http.Request, ex *exchange.Exchange) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), exchangeKey{}, ex))
}

// sender is the Transport of the ReverseProxy.
type sender struct{}

// RoundTrip implements http.RoundTripper.
func (sender) RoundTrip(out *http.Request) (*http.Response, error) { return send(exchangeOf(out), out) }

// send sends out, the request of ex, to a server of its group, and stores the outcome in
// ex.
func send(ex *exchange.Exchange, out *http.Request) (*http.Response, error) {
	r := up.Request{
		HTTP: out, Call: ex.CallName(), Harmless: ex.Harmless(),
		Until: ex.Until, HeadTimeout: ex.Patience(), Only: ex.Pinned, Caller: ex,
	}
	if readdress := ex.Readdress; readdress != nil {
		r.Address = func(s *up.Server) { readdress(out, s) }
	}
	if ex.Spelled = nil; ex.Snap.Observing || ex.Introduces {
		ex.Spelled = new(bytes.Buffer)
		r.Head = ex.Spelled
	}
	sent := ex.Group.Upstream.Send(r)
	ex.Server, ex.Reached, ex.Took = sent.Server, sent.Outcome, sent.Took
	if sent.Err != nil {
		return nil, sent.Err
	}
	ex.Denied = headercase.IsFalse(headercase.AuthValue(sent.Response.Header[openapi.AuthKey]))
	headercase.KeepNamed(sent.Response.Header, ex.Match.Headers)
	return sent.Response, nil
}
