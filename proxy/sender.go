package proxy

import (
	"bytes"
	"net/http"
	"time"

	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/openapi"
)

// sender is the Transport of the ReverseProxy.
type sender struct{}

// RoundTrip implements http.RoundTripper.
func (sender) RoundTrip(out *http.Request) (*http.Response, error) { return exchangeOf(out).send(out) }

// send sends out, which is the exchange's request, to a server of its group, and
// keeps what came of it.
func (ex *exchange) send(out *http.Request) (*http.Response, error) {
	r := up.Request{
		HTTP: out, Call: ex.callName(), Harmless: ex.harmless(),
		Until: ex.until, HeadTimeout: ex.patience(), Only: ex.pinned, Caller: ex,
	}
	if t := ex.translation; t != nil {
		r.Address = func(s *up.Server) { t.address(out, ex, s) }
	}
	if ex.spelled = nil; ex.snap.Observing || ex.introduces {
		ex.spelled = new(bytes.Buffer)
		r.Head = ex.spelled
	}
	sent := ex.group.upstream.Send(r)
	ex.server, ex.outcome, ex.upstream = sent.Server, sent.Outcome, sent.Took
	if sent.Err != nil {
		return nil, sent.Err
	}
	ex.denied = isFalse(authValue(sent.Response.Header[authHeaderKey]))
	keepNamed(sent.Response.Header, ex.match.Headers)
	return sent.Response, nil
}

// harmless reports whether a request may be sent again though a server may have
// executed it: a call that changes nothing, or a login, which gives out one more
// token. OkHttp would send it again by itself, and a client with several servers
// to the next of them.
//
// Other requests are not: the web UI has GETs that change something (/job/run).
func (ex *exchange) harmless() bool { return ex.call != nil && ex.call.Kind != openapi.Change }

// patience is how long a server may take until its answer's header.
func (ex *exchange) patience() time.Duration {
	if ex.underOpenAPI() {
		return ex.group.settings.Timeout
	}
	return ex.group.settings.StreamLimit()
}
