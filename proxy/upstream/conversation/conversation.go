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

// Call is a request with what limits it.
type Call struct {
	// Request has a Body that can be read without waiting, says how long it is
	// (ContentLength), and has it once more in GetBody, which is where it is read
	// from: so it can be sent again. Its context ends an attempt to connect, and
	// nothing else: Watch may look at it.
	Request *http.Request

	// Head gets what arrives until the answer's head is over, as it came: http.Header
	// does not tell in which case a server wrote a name. What came together with the
	// head may stand behind it. nil: nobody asks.
	Head *bytes.Buffer

	// Until is when the whole answer must be there, or the head of an event stream.
	// Zero: no limit; Pool.HeadTimeout bounds the head in either case.
	Until time.Time

	// Before is called once there is a connection, just before the first byte of the
	// request is written to it, and before another connection is tried. An error ends
	// the call with nothing sent. nil: nobody is asked.
	Before func() error

	// Watch is called right before Before, and then while the server is waited for:
	// every 20 ms while it does not take a large request, every half second until its
	// head is here and in the middle of its answer. An error ends the call, and
	// Error.Sent says whether it was sent. nil: nobody is asked.
	Watch func() error
}

// Error is why a call got no answer.
type Error struct {
	Err error

	// Sent: a byte of the request may have reached the server. Where it is false,
	// none has left.
	Sent bool

	// Connected: there was a connection.
	Connected bool
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns what happened.
func (e *Error) Unwrap() error { return e.Err }

// Send sends a request and returns the answer's head; its Body reads on from the
// connection, and must be closed. Informational answers are passed over, but for
// 101. The error is of type *Error.
//
// Where a kept connection turns out to have ended before a byte of the request
// was written, another one is used.
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
	// A server may answer before it has read the request, and close. Its answer
	// is worth more than the error.
	res, err := c.readHead(call.Request)
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

// headUntil is when an answer's head must be here; until: when the whole answer
// must be, zero for no limit.
func (p *Pool) headUntil(until time.Time) time.Time {
	if p.HeadTimeout <= 0 {
		return until
	}
	if at := time.Now().Add(p.HeadTimeout); until.IsZero() || at.Before(until) {
		return at
	}
	return until
}

// readHead reads the head of the final answer.
func (c *conn) readHead(r *http.Request) (*http.Response, error) {
	return c.readHeadOf(r, func(*http.Response) error { return nil })
}

// readHeadOf is readHead for one who is told of informational answers, too.
func (c *conn) readHeadOf(r *http.Request, informed func(*http.Response) error) (*http.Response, error) {
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

// IsEventStream reports whether an answer is one whose pieces come as things
// happen, for as long as its server likes (text/event-stream).
func IsEventStream(h http.Header) bool {
	media, _, _ := strings.Cut(head.Get(h, "Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}
