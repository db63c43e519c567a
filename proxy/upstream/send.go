package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/proxy/upstream/conversation"
)

// Send sends a request to one of the group's servers, and to another one while
// nothing has been sent. A held request that is harmless to repeat is sent once
// more where the server broke off.
func (g *Group) Send(r Request) Result {
	t := &trip{Request: r, group: g, held: r.HTTP.GetBody != nil, servers: g.candidates(r.Only)}
	ended := false
	defer func() {
		if !ended { // a panic: nobody gets the result
			t.Server.Leave()
		}
	}()
	t.Err = t.run()
	ended = true
	return t.Result
}

// trip is one request's way to a server.
type trip struct {
	Request
	Result
	group    *Group
	held     bool      // its body
	servers  []*Server // to be tried, in this order
	there    bool      // in the last attempt a shim there left the request unanswered
	stale    bool      // a connection had ended before anything was written to it
	repeated bool      // it was sent once more though the server may have executed it
}

func (t *trip) run() error {
	if len(t.servers) == 0 {
		return errNoServer
	}
	if t.HTTP.Body != nil && !t.held {
		t.HTTP.Body = streamedBody(t.HTTP)
	}
	err := ErrAllFull
	for i := 0; i < len(t.servers); i++ {
		s := t.servers[i]
		if !t.occupy(s) {
			continue
		}
		if err = t.attempt(s); err == nil {
			return nil
		}
		switch t.after(s, err) {
		case giveUp:
			return err
		case sameServer:
			i--
		case nextServer:
		}
	}
	return err
}

// occupy counts the request in at a server, and out at the one before, unless
// the server has as many connections as it may.
func (t *trip) occupy(s *Server) bool {
	if s == t.Server {
		return true
	}
	if !take(&s.inFlight, t.group.Settings.MaxConnections) {
		return false
	}
	t.Server.Leave()
	t.Server = s
	return true
}

// attempt sends the request to one server, and keeps what came of it.
func (t *trip) attempt(s *Server) error {
	out := t.HTTP
	out.URL.Scheme, out.URL.Host = s.URL.Scheme, s.Name
	if host := t.group.Settings.hostFor(s); host != "" {
		setHost(out, host)
	}
	if t.Address != nil {
		t.Address(s)
	}
	if t.Head != nil {
		t.Head.Reset() // of the attempt before
	}
	t.there = false
	res, err := t.timed()
	switch {
	case err != nil:
		return err
	case res.StatusCode < 100:
		_ = res.Body.Close() // nobody reads it
		return errNoStatus
	case leftUnanswered(res): // by a shim in between
		_ = res.Body.Close() // the mark says all
		t.there = true
		return errUnansweredThere
	}
	t.group.answered(s, res.StatusCode)
	t.Response, t.Outcome = res, Answered
	return nil
}

// timed sends the request and counts what came back, and how long it took.
func (t *trip) timed() (res *http.Response, err error) {
	began := time.Now()
	if t.held {
		res, err = t.converse()
	} else {
		res, err = t.stream()
	}
	t.Took = time.Since(began)
	status := 0
	if res != nil {
		status = res.StatusCode
	}
	t.group.metrics.Asked(t.group.Name, t.Call, status, t.Took.Seconds())
	return res, err
}

// converse sends a request that is held.
func (t *trip) converse() (*http.Response, error) {
	out, caller := t.HTTP, t.Caller
	call := conversation.Call{Request: out, Head: t.Head, Until: t.Until}
	if caller == nil {
		call.Watch = func() error { return context.Cause(out.Context()) }
	} else {
		call.Before = caller.Wanted
		call.Watch = func() error { return caller.Over(out.Context()) }
	}
	return t.group.Connections.Send(call)
}

// stream sends a request that is streamed.
//
// A server may die while the caller sends nothing of its body. Whoever waits for
// the caller then must not go on, nor seem to have failed through his fault.
func (t *trip) stream() (*http.Response, error) {
	s := conversation.Stream{Request: t.HTTP, Head: t.Head, HeadTimeout: t.HeadTimeout}
	if t.Caller != nil {
		s.Ended = t.Caller.Cut
	}
	return t.group.Connections.Stream(s)
}

// streamedBody makes the body of a request that is streamed fit to be written by
// net/http's Request.Write.
func streamedBody(out *http.Request) io.ReadCloser {
	body := io.Reader(out.Body)
	if out.ContentLength > 0 {
		// Request.Write reads on after the last byte, to see that there is no
		// more. By then the server may have answered and ours have closed the
		// body: the answer would be broken off.
		body = io.LimitReader(body, out.ContentLength)
	}
	return io.NopCloser(body) // an attempt that could not connect must not close it
}

// onward says where a request goes after an attempt that failed.
type onward uint8

const (
	giveUp onward = iota
	nextServer
	sameServer // once more
)

// after keeps the outcome of an attempt that failed, and tells what follows.
func (t *trip) after(s *Server, err error) onward {
	ctx := t.HTTP.Context()
	unsent, connected := t.unsent(err)
	if t.Outcome = Unknown; unsent && !t.repeated {
		t.Outcome = NotSent
	}
	if t.Caller != nil && t.Caller.Broken() != nil || errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, ErrHungUp) {
		return giveUp // that was not the server
	}
	if unsent && connected && !t.there && rewind(t.HTTP) {
		// The connection had ended before anything was written to it, which
		// says little about the server: once, it is tried again.
		if t.stale {
			return nextServer
		}
		t.stale = true
		return sameServer
	}
	t.group.failed(s)
	switch {
	case ctx.Err() != nil, t.late(), t.there && !rewind(t.HTTP):
		return giveUp
	case unsent && !connected, t.there:
		t.group.refused(s, err)
		return nextServer
	case !unsent && !t.repeated && t.Harmless && !connect.IsTimeout(err) && rewind(t.HTTP):
		// One that is stopping, most likely: the others come first.
		t.repeated = true
		t.servers = append(t.servers[:len(t.servers):len(t.servers)], s)
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
func (t *trip) late() bool { return !t.Until.IsZero() && !time.Now().Before(t.Until) }

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
