package proxy

import (
	"bytes"
	"net/http"

	up "powerjob-shim/proxy/upstream"
)

// sender is the Transport of the ReverseProxy.
type sender struct{}

// RoundTrip implements http.RoundTripper.
func (sender) RoundTrip(out *http.Request) (*http.Response, error) { return send(exchangeOf(out), out) }

// send sends out, which is the request of ex, to a server of its group, and
// keeps what came of it.
func send(ex *Exchange, out *http.Request) (*http.Response, error) {
	r := up.Request{
		HTTP: out, Call: ex.callName(), Harmless: ex.harmless(),
		Until: ex.until, HeadTimeout: ex.patience(), Only: ex.pinned, Caller: ex,
	}
	if readdress := ex.readdress; readdress != nil {
		r.Address = func(s *up.Server) { readdress(out, s) }
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
	ex.denied = isFalse(authValue(sent.Response.Header[authKey]))
	keepNamed(sent.Response.Header, ex.match.Headers)
	return sent.Response, nil
}
