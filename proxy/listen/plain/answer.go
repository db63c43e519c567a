package plain

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"

	"powerjob-shim/proxy/head"
)

const (
	// beforeChunks is how many bytes of a body without a length are held back, so that
	// a short one gets a Content-Length, as in net/http's server.
	beforeChunks = 2 << 10

	// maxBuffered is how many bytes of an answer are collected before they are written.
	maxBuffered = 32 << 10
)

// answer is the ResponseWriter of a request. It writes the same bytes as net/http's
// server does for a POST in HTTP/1.1, in fewer pieces. Only the handler's goroutine may
// use it, but any goroutine may set deadlines.
type answer struct {
	conn   *conn
	body   body        // of the request
	over   atomic.Bool // the connection belongs to the next request
	header http.Header

	status  int   // 0: WriteHeader was not called
	length  int64 // the announced Content-Length; -1: none
	written int64 // bytes of the body

	out       *bytes.Buffer // bytes that are not yet written to the connection
	pending   []byte        // start of the body, while its framing is undecided
	framed    bool          // the head is complete
	dated     bool          // the header has a Date
	typed     bool          // no Content-Type is to be guessed
	saysClose bool          // the header has Connection: close
	chunked   bool          // the head says Transfer-Encoding: chunked
	inChunks  bool          // chunks must be used, however short the body is
	announced []string      // names in the Trailer header
	failed    error         // of writing to the connection
	closes    bool          // the connection ends after this answer
	duplex    bool          // the head does not end the request's body
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// SetReadDeadline is for http.ResponseController.
func (a *answer) SetReadDeadline(at time.Time) error {
	if a.over.Load() {
		return http.ErrNotSupported
	}
	return a.conn.SetReadDeadline(at)
}

// SetWriteDeadline is for http.ResponseController.
func (a *answer) SetWriteDeadline(at time.Time) error {
	if a.over.Load() {
		return http.ErrNotSupported
	}
	a.conn.timed.Store(true)
	return a.conn.SetWriteDeadline(at)
}

// EnableFullDuplex is for http.ResponseController: the request's body can be read on
// when the answer has begun.
func (a *answer) EnableFullDuplex() error {
	a.duplex = true
	return nil
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// WriteHeader implements http.ResponseWriter. Except for trailers, later changes of the
// header have no effect.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		head.StatusLine(a.out, status)
		head.Write(a.out, a.header, func(name string) bool { return name == "Content-Length" || name == "Transfer-Encoding" })
		a.out.Write(head.CRLF)
		a.flush()
		return
	}
	a.status = status
	if v := head.Get(a.header, "Content-Length"); v != "" {
		if n, err := strconv.ParseUint(v, 10, 62); err == nil {
			a.length = int64(n)
		} else {
			delete(a.header, "Content-Length")
			a.inChunks = true // as net/http has it
		}
	}
	closing := head.Get(a.header, "Connection")
	a.closes = a.closes || closing == "close" || a.conn.server.stopping.Load()
	a.saysClose = closing != "" && httpguts.HeaderValuesContainsToken([]string{closing}, "close")
	_, a.dated = a.header["Date"]
	_, a.typed = a.header["Content-Type"]
	a.typed = a.typed || head.Get(a.header, "Content-Encoding") != ""
	head.StatusLine(a.out, status)
	a.findTrailers()
	head.Write(a.out, a.header, func(name string) bool { return a.leavesOut(status, name) })
}

// leavesOut reports whether a field of the handler's header is not written.
func (a *answer) leavesOut(status int, name string) bool {
	switch name {
	case "Transfer-Encoding":
		return true
	case "Connection":
		return a.closes && !a.saysClose
	case "Content-Type":
		return status == http.StatusNotModified
	case "Content-Length":
		return !bodyAllowed(status)
	}
	return strings.HasPrefix(name, http.TrailerPrefix)
}

// findTrailers looks for trailers in the header. If there are any, the body goes in chunks.
func (a *answer) findTrailers() {
	for name := range a.header {
		a.inChunks = a.inChunks || strings.HasPrefix(name, http.TrailerPrefix)
	}
	for _, line := range a.header["Trailer"] {
		a.inChunks = true
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); httpguts.ValidTrailerHeader(name) {
				a.announced = append(a.announced, name)
			}
		}
	}
}

// frame completes the head. body is the start of the answer's body, and all of it if all
// is true.
func (a *answer) frame(body []byte, all bool) {
	a.framed = true
	// Unless the handler reads on, the request's body must be read first: a caller who
	// writes all of it before he reads an answer would wait forever.
	if !a.closes && !a.duplex && !a.body.finish() {
		a.closes = true
	}
	if !a.dated {
		a.out.WriteString("Date: ")
		a.out.Write(time.Now().UTC().AppendFormat(a.out.AvailableBuffer(), http.TimeFormat))
		a.out.Write(head.CRLF)
	}
	allowed := bodyAllowed(a.status)
	if all && allowed && a.length < 0 && !a.inChunks {
		a.length = int64(len(body))
		a.out.WriteString("Content-Length: ")
		a.out.Write(strconv.AppendInt(a.out.AvailableBuffer(), a.length, 10))
		a.out.Write(head.CRLF)
	}
	if !a.typed && allowed && len(body) > 0 {
		a.out.WriteString("Content-Type: " + http.DetectContentType(body) + "\r\n")
	}
	if a.closes && !a.saysClose {
		a.out.WriteString("Connection: close\r\n")
	}
	if allowed && a.length < 0 {
		a.chunked = true
		a.out.WriteString("Transfer-Encoding: chunked\r\n")
	}
	a.out.Write(head.CRLF)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	switch {
	case len(p) == 0:
		return 0, nil
	case !bodyAllowed(a.status):
		return 0, http.ErrBodyNotAllowed
	}
	a.written += int64(len(p))
	if a.length >= 0 && a.written > a.length {
		return 0, http.ErrContentLength
	}
	if !a.framed && a.length < 0 {
		if len(a.pending)+len(p) <= beforeChunks {
			a.pending = append(a.pending, p...)
			return len(p), a.failed
		}
		a.frame(slices.Concat(a.pending, p[:min(len(p), 512)]), false)
		a.add(a.pending)
	}
	if !a.framed {
		a.frame(p, false)
	}
	a.add(p)
	return len(p), a.failed
}

// add appends a piece of the body to what is written.
func (a *answer) add(p []byte) {
	if len(p) == 0 {
		return
	}
	if a.chunked {
		a.out.Write(strconv.AppendInt(a.out.AvailableBuffer(), int64(len(p)), 16))
		a.out.Write(head.CRLF)
	}
	if a.out.Len()+len(p) > maxBuffered {
		a.flush()
		a.put(p)
	} else {
		a.out.Write(p)
	}
	if a.chunked {
		a.out.Write(head.CRLF)
	}
}

// FlushError is for http.ResponseController.
func (a *answer) FlushError() error {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if !a.framed {
		a.frame(a.pending, false)
		a.add(a.pending)
		a.pending = a.pending[:0]
	}
	a.flush()
	return a.failed
}

// Flush implements http.Flusher.
func (a *answer) Flush() { _ = a.FlushError() }

// flush writes out to the connection.
func (a *answer) flush() {
	if a.out.Len() > 0 {
		a.put(a.out.Bytes())
		a.out.Reset()
	}
}

func (a *answer) put(p []byte) {
	if a.failed == nil {
		_, a.failed = a.conn.Write(p)
	}
}

// finish ends the answer, and reports whether the connection can be used again.
func (a *answer) finish() bool {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if !a.framed {
		a.frame(a.pending, true)
		a.add(a.pending)
	}
	if a.chunked {
		a.out.WriteString("0\r\n")
		_ = head.Trailers(a.header, a.announced).Write(a.out) // into memory
		a.out.Write(head.CRLF)
	}
	a.flush()
	short := a.length >= 0 && bodyAllowed(a.status) && a.written != a.length
	return !a.closes && !short && a.failed == nil
}

// end gives the answer's memory back and makes its deadlines ineffective, so that the
// connection can be used for the next request.
func (a *answer) end() {
	a.over.Store(true)
	head.Return(a.out)
	clear(a.header)
	headers.Put(a.header)
	a.out, a.header = nil, nil
}
