package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"powerjob-shim/proxy/body"
)

// attach gives r the body that ex holds, to be read again where another
// connection must be tried.
func (ex *Exchange) attach(r *http.Request) {
	r.ContentLength, r.TransferEncoding, r.GetBody = int64(len(ex.body)), nil, ex.newBody
	r.Body = http.NoBody
	if len(ex.body) > 0 {
		ex.held.Reset(ex.body)
		r.Body = io.NopCloser(&ex.held)
	}
}

// newBody returns the body that ex holds from its start.
func (ex *Exchange) newBody() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(ex.body)), nil
}

// failBody answers a request whose body could not be read to its end.
func (ex *Exchange) failBody(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		ex.fail(w, http.StatusRequestEntityTooLarge, "the request's body is larger than max_body")
		return
	}
	if errors.Is(err, body.ErrTooSlow) {
		ex.lastOnConn = true // the rest would come as slowly
		ex.fail(w, http.StatusBadRequest, "the request's body came too slowly (min_body_rate of the listener); send it again on a better line")
		return
	}
	// Should the caller still listen, it sees an error and not the empty 200 of
	// a handler that wrote nothing.
	ex.fail(w, http.StatusBadRequest, "the request's body broke off or is malformed; send it again as a whole")
}

// endBody bounds how long net/http waits for the rest of a body that nobody read
// to its end, before the answer or after it.
func (ex *Exchange) endBody() {
	if ex.in.ReadCloser != nil && !ex.in.Ended() && ex.answer.status != http.StatusSwitchingProtocols {
		wait := ex.pace.Timeout
		if ex.answer.closing || ex.in.Broken() != nil {
			wait = 0 // nobody wants the rest
		}
		_ = http.NewResponseController(&ex.answer).SetReadDeadline(time.Now().Add(wait)) // not possible: then it may wait
	}
}
