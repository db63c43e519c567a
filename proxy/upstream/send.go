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

// Send sends a request to one of the group's servers, and tries others while nothing has
// been sent. A request that is harmless to repeat is sent once more if a server broke
// the connection.
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
	held     bool      // its body is in memory
	servers  []*Server // in the order in which they are tried
	there    bool      // the last attempt reached another shim, which left the request unanswered
	stale    bool      // once, a connection had ended before anything was written to it
	repeated bool      // it was sent once more although a server may have executed it
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

// occupy counts the request in at s and out at the server before. It returns false if s
// already has as many requests as it may.
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

// attempt sends the request to one server. If that answers, the answer is the result.
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
		t.Head.Reset() // it may have the head of the attempt before
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
		_ = res.Body.Close() // the body says no more than the mark
		t.there = true
		return errUnansweredThere
	}
	t.group.answered(s, res.StatusCode)
	t.Response, t.Outcome = res, Answered
	return nil
}

// timed sends the request and records status and time in the metrics.
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

// converse sends a held request.
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

// stream sends a streamed request. If the server dies while the caller sends nothing of
// the body, Caller.Cut ends the read that waits for him, so that the failure is not
// blamed on him.
func (t *trip) stream() (*http.Response, error) {
	s := conversation.Stream{Request: t.HTTP, Head: t.Head, HeadTimeout: t.HeadTimeout}
	if t.Caller != nil {
		s.Ended = t.Caller.Cut
	}
	return t.group.Connections.Stream(s)
}

// streamedBody wraps a streamed request's body for net/http's Request.Write.
func streamedBody(out *http.Request) io.ReadCloser {
	body := io.Reader(out.Body)
	if out.ContentLength > 0 {
		// Request.Write reads on after the last byte, to check that there is no
		// more. If the body was closed after that byte, the read would fail, and an
		// answer that has come be cut off.
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

// after records the outcome of a failed attempt at s, and decides what follows.
func (t *trip) after(s *Server, err error) onward {
	ctx := t.HTTP.Context()
	unsent, connected := t.unsent(err)
	if t.Outcome = Unknown; unsent && !t.repeated {
		t.Outcome = NotSent
	}
	if t.Caller != nil && t.Caller.Broken() != nil || errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, ErrHungUp) {
		return giveUp // the caller's side failed, not the server
	}
	if unsent && connected && !t.there && rewind(t.HTTP) {
		// The connection had ended before anything was written to it, which
		// says little about the server. The server is tried again, once.
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
		// The server is most likely stopping: the others come first.
		t.repeated = true
		t.servers = append(t.servers[:len(t.servers):len(t.servers)], s)
		return nextServer
	}
	return giveUp
}

// unsent reports whether a failed attempt sent nothing to a server, and whether there was
// a connection.
func (t *trip) unsent(err error) (unsent, connected bool) {
	if failed := new(conversation.Error); errors.As(err, &failed) {
		return !failed.Sent, failed.Connected
	}
	return t.there, false
}

// late reports whether Until has passed.
func (t *trip) late() bool { return !t.Until.IsZero() && !time.Now().Before(t.Until) }

// rewind resets a request's body, part of which may have been read, to its beginning.
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
