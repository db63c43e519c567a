package proxy

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"

	"go.uber.org/zap"
)

var errSwitched = errors.New("the server switched protocols unasked")

// question is what it takes to ask a server, in one object.
type question struct {
	url   url.URL
	trace httptrace.ClientTrace
}

// ask sends a call that is held here and has rec take its answer in. It is what
// ReverseProxy does for everything else, without what only streams need: the
// watch on the caller, informational answers, upgrades, flushing, and a copy of
// all that passes. rec drops or would break them anyway.
//
// An answer that breaks off panics with http.ErrAbortHandler, as there.
func (p *Proxy) ask(rec *recorder, r *http.Request, ex *exchange) {
	q := new(question)
	ctx := r.Context()
	if rec.leader != nil { // who outlives its caller
		ctx = &rec.leader.ctx
	}
	out := r.WithContext(httptrace.WithClientTrace(ctx, &q.trace))
	out.URL, out.Header, out.Trailer, out.Close = &q.url, make(http.Header, len(r.Header)+4), nil, false
	copyEndToEnd(out.Header, r.Header)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // else net/http would send its own
	}
	ex.address(out, r)

	res, err := sender{p.metrics, p.log}.send(out, ex)
	if err == nil && res.StatusCode == http.StatusSwitchingProtocols {
		_ = res.Body.Close() // the connection, which nobody can use
		err = errSwitched
	}
	if err != nil {
		p.forwardFailed(rec, out, ex, err)
		return
	}
	ex.fromUpstream = true
	copyEndToEnd(rec.header, res.Header)
	rec.WriteHeader(res.StatusCode)
	buf := p.buffers.Get()
	_, err = io.CopyBuffer(rec, res.Body, buf)
	p.buffers.Put(buf)
	_ = res.Body.Close() // it has been read, or is given up
	if err != nil {
		p.log.Debug("an answer broke off", zap.String(fieldRequestID, ex.id), zap.Error(err))
		panic(http.ErrAbortHandler)
	}
	for name, values := range res.Trailer {
		rec.header["Trailer"] = append(rec.header["Trailer"], name)
		rec.header[http.TrailerPrefix+name] = values
	}
}

// copyEndToEnd copies a header but for its hop-by-hop fields (RFC 9110, 7.6.1).
// The values are shared.
func copyEndToEnd(to, from http.Header) {
	for name, values := range from {
		switch name {
		case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
			"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		default:
			to[name] = values
		}
	}
	for _, line := range from["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			delete(to, textproto.CanonicalMIMEHeaderKey(textproto.TrimString(name)))
		}
	}
}
