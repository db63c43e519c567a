package exchange

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"

	"powerjob-shim/metrics"
	"powerjob-shim/proxy/exchange/headercase"
	"powerjob-shim/proxy/listen"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
)

// The headers that the shim itself writes.
const (
	RequestIDHeader = "X-Request-Id"
	shimHeader      = up.ShimHeader
)

// outsideMark is shimHeader's value on answers to known calls outside the
// prefix. Doctor looks for it.
const outsideMark = "outside-prefix"

// shimValues are the values of shimHeader. Answers share them: read them only.
var shimValues = func() map[rules.Decision][]string {
	values := map[rules.Decision][]string{}
	for _, d := range rules.Decisions() {
		values[rules.Decision(d)] = []string{d}
	}
	return values
}()

// AnswerWriter is the last writer before the caller. It completes an answer's header
// just before that is written, so that nothing can canonicalise it afterwards, and
// counts the body's bytes. http.ResponseController reaches the writer beneath.
type AnswerWriter struct {
	http.ResponseWriter
	ex      *Exchange
	metrics *metrics.Metrics
	Status  int  // 0: no header written yet
	Closing bool // the connection is closed without an answer: nothing is written
	version string
	Bytes   int64 // bytes of body
}

// Unwrap lets http.ResponseController hijack, flush and set deadlines.
func (w *AnswerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *AnswerWriter) WriteHeader(status int) {
	if status == http.StatusContinue {
		// The server asks for the body. net/http sends the caller a 100 Continue itself
		// once the body is read, so this one would be the second.
		return
	}
	if status >= 200 && w.Status == 0 {
		w.Status = status
		if w.Closing = w.ex.closes(); !w.Closing {
			w.finish()
		}
	}
	if w.Closing {
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *AnswerWriter) Write(p []byte) (int, error) {
	if w.Status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.Closing {
		return len(p), nil
	}
	n, err := w.ResponseWriter.Write(p)
	w.Bytes += int64(n)
	if errors.Is(err, listen.ErrStalled) {
		w.ex.Failure = listen.ErrStalled
	}
	return n, err
}

// FlushError writes the header if that was not done yet, and flushes.
func (w *AnswerWriter) FlushError() error {
	if w.Status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.Closing {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack takes the connection over for a tunnel, which the log shows as 101.
func (w *AnswerWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return conn, rw, err
	}
	w.Status = http.StatusSwitchingProtocols
	if n := rw.Reader.Buffered(); n > 0 {
		// ReverseProxy reads from the connection only.
		behind, _ := rw.Reader.Peek(n) // it is there
		conn = &begunConn{conn, bytes.NewReader(bytes.Clone(behind))}
	}
	return conn, rw, nil
}

// begunConn is a connection of which some bytes have been read already.
type begunConn struct {
	net.Conn
	begun *bytes.Reader
}

// Read implements net.Conn.
func (c *begunConn) Read(p []byte) (int, error) {
	if c.begun.Len() > 0 {
		return c.begun.Read(p)
	}
	return c.Conn.Read(p)
}

// CloseWrite tells the caller that the server sends nothing more.
func (c *begunConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// finish completes the header of a final answer.
func (w *AnswerWriter) finish() {
	h, ex := w.Header(), w.ex
	if _, ok := h[RequestIDHeader]; !ok {
		h[RequestIDHeader] = ex.value(valueID, ex.ID)
	}
	switch {
	case ex.Snap.Observing:
	case ex.Decided != "":
		h[shimHeader] = shimValues[ex.Decided]
	case ex.Outside:
		h[shimHeader] = []string{outsideMark}
	}
	if ex.Unanswered != "" && ex.origin.shim {
		h[shimHeader] = markedUnanswered
	}
	if ex.LastOnConn {
		h["Connection"] = []string{"close"}
	}
	if ex.Introduces {
		sent := ex.sentAuth(h) // the rules below change h
		defer w.introduce(sent)
	}
	if !ex.FromUpstream || w.Status == http.StatusLoopDetected { // 508 is written by a shim, perhaps this one
		return
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // else net/http would guess one
	}
	if ex.Snap.Observing {
		w.observeHeaders()
		return
	}
	for _, rule := range ex.Match.Headers {
		if action := headercase.Apply(h, rule); action != "" {
			w.metrics.HeaderRule(action)
		}
	}
}
