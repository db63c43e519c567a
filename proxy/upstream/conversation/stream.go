package conversation

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
	"time"
)

const (
	// maxStreamHead bounds the head of an answer to a Stream, in bytes; see maxHead.
	maxStreamHead = 1 << 20

	// ContinueWait is how long a body is held back for a server's 100 Continue
	// (RFC 9110, 10.1.1: a client must not wait for ever).
	ContinueWait = time.Second

	// writerWait is how long an exchange that has failed waits for the reason why the
	// request's body ended.
	writerWait = 50 * time.Millisecond

	// standstill is for how long a request that has been answered in full may make no
	// progress before the rest of it is given up.
	standstill = time.Second
)

var errAnswered = errors.New("the server has answered before it asked for the request's body")

// Stream is a request whose body comes as its caller sends it.
type Stream struct {
	// Request's context ends the exchange, including the answer. Stream does not close
	// the Body, and may still read it for a moment after it has returned. Of an
	// httptrace.ClientTrace in the context, only Got1xxResponse is called.
	Request *http.Request

	// Head is like Call.Head. nil: not needed.
	Head *bytes.Buffer

	// HeadTimeout is how long the server may take from the end of the request to its
	// answer's head, and how long it may read nothing of the request before that. 0: no
	// limit.
	HeadTimeout time.Duration

	// Ended is called when the server has ended the connection before it answered. It
	// must end a Read of the request's body that waits for the caller, and must not
	// block. nil: not called.
	Ended func()
}

// Stream sends a request and returns the answer once its head is here, as Send does. The
// request's body is written meanwhile, and still while the answer's body is read: a
// server may answer early. The Body of a 101 is an io.ReadWriteCloser.
func (p *Pool) Stream(s Stream) (*http.Response, error) {
	ctx := s.Request.Context()
	for {
		c := p.take(s.Request.URL.Host)
		kept := c != nil
		if !kept {
			var err error
			if c, err = p.open(ctx, s.Request.URL.Host); err != nil {
				return nil, &Error{Err: err}
			}
		}
		x := &streaming{Stream: s, conn: c, ctx: ctx, hasBody: s.Request.Body != nil && s.Request.Body != http.NoBody,
			proceed: make(chan struct{}), over: make(chan struct{})}
		res, err := x.run()
		if err == nil {
			return res, nil
		}
		if !kept || err.Sent || x.hasBody || ctx.Err() != nil {
			return nil, err
		}
	}
}

// streaming is a request on its way over one connection. One goroutine writes the
// request, Stream's own reads the answer.
type streaming struct {
	Stream
	conn    *conn
	ctx     context.Context //nolint:containedctx // of this one request
	hasBody bool
	broken  atomic.Pointer[error] // why the request's body could not be read
	headed  atomic.Bool           // the answer's head is here
	proceed chan struct{}         // closed when the server asks for the body, or has answered
	refused atomic.Bool           // the server has answered without asking for the body
	over    chan struct{}         // closed when the writing has ended
	failed  error                 // why the writing ended early; read it when over is closed
}

func (x *streaming) run() (*http.Response, *Error) {
	c := x.conn
	before := c.wire.sent.Load()
	c.begin(time.Time{}, x.watch, false)
	c.head, c.heard, c.patient, c.taking = maxStreamHead, x.Head, true, taking{within: x.HeadTimeout, sent: -1}
	if c.heard != nil {
		c.heard.Reset() // of an attempt on another connection
	}
	release := context.AfterFunc(x.ctx, x.wake)
	go x.write()
	res, err := c.readHead(x.Request, x.informed)
	x.headed.Store(true)
	c.limit.Store(nil)
	if err != nil {
		release()
		c.wire.shut.Store(true) // before sent is read: no byte leaves after that
		failed := &Error{Err: err, Sent: c.wire.sent.Load() != before, Connected: true}
		_ = c.Close() // nothing is left to be said
		switch broken := x.broken.Load(); {
		case broken != nil:
			failed.Err = *broken
		case x.hasBody && c.ended == nil && x.Ended != nil:
			x.Ended()
			<-x.over
		case x.hasBody && x.ctx.Err() != nil:
			x.written(writerWait) // a broken body may end ctx before its Read returns: wait for the Read, whose error is the better one
		case !x.hasBody:
			<-x.over // the writer must not use the request while it is sent again
		}
		return nil, failed
	}
	c.head, c.heard = -1, nil
	if res.StatusCode == http.StatusSwitchingProtocols {
		res.Body = &tunnel{conn: c, release: release}
		return res, nil
	}
	x.refused.Store(true)
	x.answered()
	b := &body{ReadCloser: res.Body, conn: c, reusable: !res.Close && !x.Request.Close, settle: func(whole bool) bool {
		return release() && whole && x.settle()
	}}
	res.Body = b
	return res, nil
}

// watch is called by the conn while it waits, as Call.Watch.
func (x *streaming) watch() error {
	if x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	if err := x.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// wake makes reads and writes that wait on the connection look whether they must still wait.
func (x *streaming) wake() { _ = x.conn.SetDeadline(time.Unix(1, 0)) }

// informed is called with informational answers.
func (x *streaming) informed(res *http.Response) error {
	if res.StatusCode == http.StatusContinue {
		x.answered()
	}
	if trace := httptrace.ContextClientTrace(x.ctx); trace != nil && trace.Got1xxResponse != nil {
		return trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header))
	}
	return nil
}

// answered releases a body that is held back. Only the reading goroutine calls it.
func (x *streaming) answered() {
	select {
	case <-x.proceed:
	default:
		close(x.proceed)
	}
}

// settle waits for the end of the writing when the answer has ended, as long as more of
// the request is sent, and reports whether the connection can be kept. So a caller who
// sends everything before he reads gets the answer, and so does one who waits for it.
func (x *streaming) settle() bool {
	for sent := int64(-1); x.conn.wire.sent.Load() != sent; {
		sent = x.conn.wire.sent.Load()
		if x.written(standstill) {
			return x.failed == nil
		}
	}
	return false
}

// written waits for the end of the writing, and reports whether it has come.
func (x *streaming) written(within time.Duration) bool {
	select {
	case <-x.over:
		return true
	default:
	}
	wait := time.NewTimer(within)
	defer wait.Stop()
	select {
	case <-x.over:
		return true
	case <-wait.C:
		return false
	}
}

// write writes the request.
func (x *streaming) write() {
	defer close(x.over)
	w := bufio.NewWriterSize(unbuffered{x.conn.Conn}, readBuffer)
	r := x.Request
	var from *sending
	if x.hasBody {
		from = &sending{Reader: r.Body, x: x, w: w, held: r.Header.Get("Expect") != ""}
		out := *r
		r = &out
		r.Body = from
	}
	err := r.Write(w)
	if err == nil {
		err = w.Flush()
	}
	if from != nil && from.err != nil && !errors.Is(from.err, errAnswered) {
		x.broken.Store(&from.err)
		x.failed = from.err
		x.wake()
		return
	}
	if x.failed = err; err != nil {
		return // the reading goroutine finds out why, or has the answer
	}
	if x.HeadTimeout > 0 {
		at := time.Now().Add(x.HeadTimeout)
		x.conn.limit.Store(&at)
		if x.headed.Load() {
			x.conn.limit.Store(nil)
		} else if x.HeadTimeout < turn {
			_ = x.conn.SetReadDeadline(at) // a longer timeout is noticed at the next look
		}
	}
}

// unbuffered writes each piece of a body as soon as it comes. A bufio.Writer on it leaves
// the body to its ReadFrom.
type unbuffered struct{ io.Writer }

// ReadFrom implements io.ReaderFrom.
func (u unbuffered) ReadFrom(r io.Reader) (int64, error) { return io.Copy(u.Writer, r) }

// sending is the body of a request while it is written.
type sending struct {
	io.Reader
	x    *streaming
	w    *bufio.Writer // the same goroutine writes the request to it
	held bool          // held back until the server asks for it
	err  error         // why it could not be read to its end
}

// Read implements io.Reader.
func (s *sending) Read(p []byte) (int, error) {
	if s.held {
		s.held = false
		if err := s.wait(); err != nil {
			s.err = err
			return 0, err
		}
	}
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// Close implements io.Closer. It does nothing: Stream's caller closes the body.
func (s *sending) Close() error { return nil }

// wait sends the head, and waits until the server asks for the body, but at most
// ContinueWait.
func (s *sending) wait() error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	wait := time.NewTimer(ContinueWait)
	defer wait.Stop()
	select {
	case <-s.x.proceed:
		if s.x.refused.Load() {
			return errAnswered
		}
	case <-wait.C:
	case <-s.x.ctx.Done():
		return context.Cause(s.x.ctx)
	}
	return nil
}

// tunnel is a connection after a 101. It is the Body of the answer.
type tunnel struct {
	conn    *conn
	release func() bool
}

// Read implements io.Reader.
func (t *tunnel) Read(p []byte) (int, error) { return t.conn.r.Read(p) }

// Write implements io.Writer.
func (t *tunnel) Write(p []byte) (int, error) { return t.conn.Conn.Write(p) }

// CloseWrite ends the direction to the server.
func (t *tunnel) CloseWrite() error {
	if half, ok := t.conn.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return t.Close()
}

// Close implements io.Closer.
func (t *tunnel) Close() error {
	t.release()
	return t.conn.Close()
}

var _ interface{ CloseWrite() error } = (*wire)(nil)

// CloseWrite ends the direction to the server.
func (w *wire) CloseWrite() error {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return net.ErrClosed
}
