package conversation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"powerjob-shim/proxy/head"
)

// Call is a request with its limits.
type Call struct {
	// Request must have a ContentLength, and a Body that can be read without waiting.
	// GetBody must return the same body: it is read from there, so that it can be sent
	// again. The context ends an attempt to connect, and nothing else; Watch may look
	// at it.
	Request *http.Request

	// Head gets the bytes of the answer's head as they came: http.Header loses the case
	// in which a server wrote a name. Bytes behind the head may follow. nil: not needed.
	Head *bytes.Buffer

	// Until is when the whole answer must be here, or the head of an event stream.
	// Zero: no limit; Pool.HeadTimeout bounds the head in either case.
	Until time.Time

	// Before is called once there is a connection, just before the first byte of the
	// request is written to it, and before another connection is tried. An error ends
	// the call with nothing sent. nil: not called.
	Before func() error

	// Watch is called right before Before, and again while the call waits for the
	// server: every 20 ms while the server does not read on in a large request, and
	// every half second while the call waits for the answer's head or more of its body.
	// An error ends the call; Error.Sent then says whether it was sent. nil: not called.
	Watch func() error
}

// Error says why a call got no answer.
type Error struct {
	Err error

	// Sent is true if a byte of the request may have reached the server. If it is
	// false, no byte has left.
	Sent bool

	// Connected is true if there was a connection.
	Connected bool
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Send sends a request and returns the answer once its head is here. The Body reads on
// from the connection, and must be closed. Informational answers except 101 are
// skipped. The error is of type *Error.
//
// If a kept connection turns out to have ended before a byte of the request was
// written, Send uses another one.
func (p *Pool) Send(call Call) (*http.Response, error) {
	r := call.Request
	out := head.Borrow()
	defer head.Return(out)
	if err := write(r, out); err != nil {
		return nil, &Error{Err: fmt.Errorf("writing the request: %w", err)}
	}
	server := r.URL.Host
	for {
		c := p.take(server)
		kept := c != nil
		if !kept {
			var err error
			if c, err = p.connect(call); err != nil {
				return nil, &Error{Err: err}
			}
		}
		res, failed := c.converse(call, out.Bytes())
		if failed == nil {
			return res, nil
		}
		_ = c.Close() // nothing is left to be said
		if !kept || failed.Sent || call.over() != nil {
			return nil, failed
		}
	}
}

// connect makes a connection, within the call's time.
func (p *Pool) connect(call Call) (*conn, error) {
	ctx := call.Request.Context()
	if !call.Until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, call.Until)
		defer cancel()
	}
	return p.open(ctx, call.Request.URL.Host)
}

// over returns why a call must not go on.
func (call Call) over() error {
	if !call.Until.IsZero() && !time.Now().Before(call.Until) {
		return &timeoutError{"before the request was sent"}
	}
	for _, ask := range [...]func() error{call.Watch, call.Before} {
		if ask == nil {
			continue
		}
		if err := ask(); err != nil {
			return err
		}
	}
	return nil
}

// converse sends a request over one connection and reads the answer's head.
func (c *conn) converse(call Call, request []byte) (*http.Response, *Error) {
	if err := call.over(); err != nil {
		return nil, &Error{Err: err, Connected: true}
	}
	before := c.wire.sent.Load()
	c.begin(c.pool.headUntil(call.Until), call.Watch, len(request) > readBuffer)
	c.heard = call.Head
	if c.heard != nil {
		c.heard.Reset() // of an attempt on another connection
	}
	written, writing := c.Write(request)
	sent := c.wire.sent.Load() != before
	if writing != nil && (!sent || !errors.Is(writing, errStopReading) && c.look() != nil) {
		return nil, &Error{Err: writing, Sent: sent, Connected: true}
	}
	// A server may answer before it has read the request, and close. The answer is
	// better than the error of writing.
	skip := func(*http.Response) error { return nil }
	res, err := c.readHead(call.Request, skip)
	if err != nil {
		if writing != nil && !errors.Is(writing, errStopReading) {
			err = writing
		}
		return nil, &Error{Err: err, Sent: true, Connected: true}
	}
	c.head, c.heard, c.until = -1, nil, call.Until
	if IsEventStream(res.Header) {
		c.until = time.Time{} // it goes on for as long as both sides wish
	}
	reusable := writing == nil && written == len(request) && !res.Close && !call.Request.Close &&
		res.StatusCode >= 200 // else it has switched protocols, or its answer makes no sense
	if res.Body == http.NoBody {
		c.end(reusable)
		return res, nil
	}
	res.Body = &body{ReadCloser: res.Body, conn: c, reusable: reusable}
	return res, nil
}

// headUntil returns when an answer's head must be here. until is when the whole answer
// must be; zero: no limit.
func (p *Pool) headUntil(until time.Time) time.Time {
	if p.HeadTimeout <= 0 {
		return until
	}
	if at := time.Now().Add(p.HeadTimeout); until.IsZero() || at.Before(until) {
		return at
	}
	return until
}

// readHead reads the head of the final answer. informed is called with each
// informational answer before it, and its error ends the reading.
func (c *conn) readHead(r *http.Request, informed func(*http.Response) error) (*http.Response, error) {
	for range maxInformational + 1 {
		res, err := head.ReadAnswer(c.r, r)
		if c.ended != nil {
			return nil, c.ended
		}
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				err = fmt.Errorf("the server closed the connection before its answer's head was whole: %w", io.ErrUnexpectedEOF)
			}
			return nil, err
		}
		if res.StatusCode < 100 || res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			return res, nil
		}
		if err := informed(res); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("the server sent more than %d informational answers", maxInformational)
}

// IsEventStream reports whether h is the header of an event stream (text/event-stream),
// which goes on for as long as its server likes.
func IsEventStream(h http.Header) bool {
	media, _, _ := strings.Cut(head.Get(h, "Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}
