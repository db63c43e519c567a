package forward

import (
	"bytes"
	"net/http"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/exchange/headercase"
	up "powerjob-shim/proxy/upstream"
)

// sender is the Transport of the ReverseProxy.
type sender struct{}

// RoundTrip implements http.RoundTripper.
func (sender) RoundTrip(out *http.Request) (*http.Response, error) { return send(exchangeOf(out), out) }

// send sends out, which is the request of ex, to a server of its group, and
// keeps what came of it.
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
	ex.Denied = headercase.IsFalse(headercase.AuthValue(sent.Response.Header[headercase.AuthKey]))
	headercase.KeepNamed(sent.Response.Header, ex.Match.Headers)
	return sent.Response, nil
}
