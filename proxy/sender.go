package proxy

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/upstream/conversation"
	"powerjob-shim/rules/openapi"
)

// sender is the Transport of the ReverseProxy: it chooses a server of the
// exchange's group, and another one while nothing has been sent. A call that is
// harmless to repeat it sends once more where the server broke off.
type sender struct {
	metrics *metrics.Metrics
	log     *zap.Logger
}

var errNoStatus = errors.New("the server's answer has no valid status")

var errNoServer = errors.New("there is no server")

// errUnansweredThere: the server is another shim, and says that its own got nothing.
var errUnansweredThere = errors.New("the shim there left the request unanswered")

var errAllFull = errors.New("each server has max_connections in use")

// RoundTrip implements http.RoundTripper.
func (s sender) RoundTrip(out *http.Request) (*http.Response, error) {
	return s.send(out, exchangeOf(out))
}

// send sends out, which is ex's, and keeps the exchange's outcome.
func (s sender) send(out *http.Request, ex *exchange) (*http.Response, error) {
	t := &trip{sender: s, out: out, ex: ex, held: out.GetBody != nil, servers: ex.candidates()}
	if len(t.servers) == 0 {
		return nil, errNoServer
	}
	if out.Body != nil && !t.held {
		out.Body = streamedBody(out)
	}
	err := errAllFull
	for i := 0; i < len(t.servers); i++ {
		srv := t.servers[i]
		if !ex.occupy(srv) {
			continue
		}
		var res *http.Response
		if res, err = t.attempt(srv); err == nil {
			return res, nil
		}
		switch t.after(srv, err) {
		case giveUp:
			return nil, err
		case sameServer:
			i--
		case nextServer:
		}
	}
	return nil, err
}

// trip is one request's way to a server.
type trip struct {
	sender
	out      *http.Request
	ex       *exchange
	held     bool      // its body
	servers  []*server // to be tried, in this order
	there    bool      // in the last attempt a shim there left the request unanswered
	stale    bool      // a connection had ended before anything was written to it
	repeated bool      // it was sent once more though the server may have executed it
}

// occupy counts the request in at a server, and out at the one before, unless
// the server has as many connections as it may.
func (ex *exchange) occupy(srv *server) bool {
	if srv != ex.server && !take(&srv.inFlight, ex.group.settings.MaxConnections) {
		return false
	}
	if ex.server != nil && srv != ex.server {
		ex.server.inFlight.Add(-1)
	}
	ex.server = srv
	return true
}

// attempt sends the request to one server, and keeps what came of it.
func (t *trip) attempt(srv *server) (*http.Response, error) {
	ex := t.ex
	t.out.URL.Scheme, t.out.URL.Host = srv.url.Scheme, srv.name
	if host := ex.group.settings.hostFor(srv); host != "" {
		setHost(t.out, host)
	}
	ex.translation.address(t.out, ex, srv)
	if ex.spelled = nil; ex.snap.Observing || ex.introduces {
		ex.spelled = new(bytes.Buffer)
	}
	t.there = false
	res, err := t.timed()
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode < 100:
		_ = res.Body.Close() // nobody reads it
		return nil, errNoStatus
	case leftUnanswered(res): // by a shim in between: its server got nothing
		_ = res.Body.Close() // the mark says all
		t.there = true
		return nil, errUnansweredThere
	}
	ex.group.answered(srv, res.StatusCode, t.log)
	ex.outcome = outcomeAnswered
	ex.denied = isFalse(authValue(res.Header[authHeaderKey]))
	keepNamed(res.Header, ex.match.Headers)
	return res, nil
}

// timed sends the request and counts what came back, and how long it took.
func (t *trip) timed() (res *http.Response, err error) {
	began := time.Now()
	if t.held {
		res, err = t.converse(t.out, t.ex)
	} else {
		res, err = t.ex.stream(t.out)
	}
	t.ex.upstream = time.Since(began)
	t.count(t.ex, res)
	return res, err
}

// onward says where a request goes after an attempt that failed.
type onward uint8

const (
	giveUp onward = iota
	nextServer
	sameServer // once more
)

// after keeps the outcome of an attempt that failed, and tells what follows.
func (t *trip) after(srv *server, err error) onward {
	ex, out := t.ex, t.out
	unsent, connected := t.unsent(err)
	if ex.outcome = outcomeUnknown; unsent && !t.repeated {
		ex.outcome = outcomeNotSent
	}
	if ex.in.broken() != nil || errors.Is(out.Context().Err(), context.Canceled) || errors.Is(err, errHungUp) {
		return giveUp // that was not the server
	}
	if unsent && connected && !t.there && rewind(out) {
		// The connection had ended before anything was written to it, which
		// says little about the server: once, it is tried again.
		if t.stale {
			return nextServer
		}
		t.stale = true
		return sameServer
	}
	ex.group.failed(srv, t.log)
	switch {
	case out.Context().Err() != nil, ex.late(), t.there && !rewind(out):
		return giveUp
	case unsent && !connected, t.there:
		ex.group.refused(srv, err, t.log)
		return nextServer
	case !unsent && !t.repeated && ex.harmless() && !isTimeout(err) && rewind(out):
		// One that is stopping, most likely: the others come first.
		t.repeated = true
		t.servers = append(t.servers[:len(t.servers):len(t.servers)], srv)
		return nextServer
	}
	return giveUp
}

// unsent reports whether a server got nothing of an attempt that failed, and
// whether there was a connection.
func (t *trip) unsent(err error) (unsent, connected bool) {
	if failed := new(conversation.Error); errors.As(err, &failed) {
		return !failed.Sent, failed.Connected
	}
	return t.there, false
}

// late reports whether there is no time left for an answer.
func (ex *exchange) late() bool { return !ex.until.IsZero() && !time.Now().Before(ex.until) }

// candidates returns the servers that the request may go to, in order. The result
// may be shared: read it only.
func (ex *exchange) candidates() []*server {
	if ex.pinned != nil {
		return []*server{ex.pinned}
	}
	return ex.group.candidates()
}

// harmless reports whether a request may be sent again though a server may have
// executed it: a call that changes nothing, or a login, which gives out one more
// token. OkHttp would send it again by itself, and a client with several servers
// to the next of them.
//
// Requests that are no calls are as net/http's Transport has it, and browsers: a
// GET goes out again by itself where a used connection ended. No more than that,
// for the web UI has GETs that change something (/job/run).
func (ex *exchange) harmless() bool { return ex.call != nil && ex.call.Kind != openapi.Change }

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// rewind makes a request's body, some of which may have been read, begin anew.
// It reports whether that was possible.
func rewind(out *http.Request) bool {
	if out.Body == nil || out.Body == http.NoBody {
		return true
	}
	if out.GetBody == nil {
		return false
	}
	body, err := out.GetBody()
	out.Body = body
	return err == nil
}

func (s sender) count(ex *exchange, res *http.Response) {
	status := 0
	if res != nil {
		status = res.StatusCode
	}
	s.metrics.Asked(ex.group.name, ex.callName(), status, ex.upstream.Seconds())
}
