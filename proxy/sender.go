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
	up "powerjob-shim/proxy/upstream"
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
	held := out.GetBody != nil // its body
	if out.Body != nil && !held {
		out.Body = streamedBody(out)
	}
	var (
		res *http.Response
		err = errAllFull
	)
	servers, stale, repeated := ex.candidates(), false, false
	if len(servers) == 0 {
		return nil, errNoServer
	}
	for i := 0; i < len(servers); i++ {
		srv := servers[i]
		if srv != ex.server && !take(&srv.inFlight, ex.group.settings.MaxConnections) {
			continue
		}
		if ex.server != nil && srv != ex.server {
			ex.server.inFlight.Add(-1)
		}
		ex.server = srv
		out.URL.Scheme, out.URL.Host = srv.url.Scheme, srv.name
		if host := ex.group.settings.hostFor(srv); host != "" {
			setHost(out, host)
		}
		ex.translation.address(out, ex, srv)
		if ex.spelled = nil; ex.snap.Observing || ex.introduces {
			ex.spelled = new(bytes.Buffer)
		}
		began, answeredOddly := time.Now(), false
		if held {
			res, err = s.converse(out, ex)
		} else {
			res, err = ex.stream(out)
		}
		ex.upstream = time.Since(began)
		s.count(ex, res)
		if err == nil && res.StatusCode < 100 {
			_ = res.Body.Close() // nobody reads it
			res, err = nil, errNoStatus
			answeredOddly = true
		}
		elsewhere := err == nil && leftUnanswered(res)
		if elsewhere { // by a shim in between: its server got nothing
			_ = res.Body.Close() // the mark says all
			res, err = nil, errUnansweredThere
		}
		if err == nil {
			ex.group.answered(srv, res.StatusCode, s.log)
			ex.outcome = outcomeAnswered
			ex.denied = isFalse(authValue(res.Header[authHeaderKey]))
			keepNamed(res.Header, ex.match.Headers)
			return res, nil
		}
		unsent, connected := elsewhere, false
		if failed := new(up.Error); !answeredOddly && errors.As(err, &failed) {
			unsent, connected = !failed.Sent, failed.Connected
		}
		if ex.outcome = outcomeUnknown; unsent && !repeated {
			ex.outcome = outcomeNotSent
		}
		if ex.in.broken() != nil || errors.Is(out.Context().Err(), context.Canceled) || errors.Is(err, errHungUp) {
			break // that was not the server
		}
		if unsent && connected && !elsewhere && rewind(out) {
			// The connection had ended before anything was written to it, which
			// says little about the server: once, it is tried again.
			if !stale {
				stale = true
				i--
			}
			continue
		}
		ex.group.failed(srv, s.log)
		switch {
		case out.Context().Err() != nil, ex.late():
			return nil, err
		case elsewhere && !rewind(out):
			return nil, err
		case unsent && !connected, elsewhere:
			ex.group.refused(srv, err, s.log)
		case !unsent && !repeated && ex.harmless() && !isTimeout(err) && rewind(out):
			// One that is stopping, most likely: the others come first.
			repeated = true
			servers = append(servers[:len(servers):len(servers)], srv)
		default:
			return nil, err
		}
	}
	return nil, err
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
