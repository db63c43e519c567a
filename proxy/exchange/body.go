package exchange

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"powerjob-shim/proxy/body"
)

// Attach gives r the body that ex holds. GetBody lets it be read again if the request is
// sent again.
func (ex *Exchange) Attach(r *http.Request) {
	r.ContentLength, r.TransferEncoding, r.GetBody = int64(len(ex.Body)), nil, ex.NewBody
	r.Body = http.NoBody
	if len(ex.Body) > 0 {
		ex.held.Reset(ex.Body)
		r.Body = &ex.held
	}
}

// NewBody returns a reader of the body that ex holds, from its start.
func (ex *Exchange) NewBody() (io.ReadCloser, error) {
	body := new(heldBody)
	body.Reset(ex.Body)
	return body, nil
}

// heldBody reads a body that is in memory.
type heldBody struct{ bytes.Reader }

// Close implements io.Closer.
func (*heldBody) Close() error { return nil }

// FailBody answers a request whose body could not be read to its end.
func (ex *Exchange) FailBody(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		ex.Fail(w, http.StatusRequestEntityTooLarge, "the request's body is larger than max_body")
		return
	}
	if errors.Is(err, body.ErrTooSlow) {
		ex.LastOnConn = true // the rest would come as slowly
		ex.Fail(w, http.StatusBadRequest, "the request's body came too slowly (min_body_rate of the listener); send it again on a better line")
		return
	}
	// A caller who is still there gets an error, not the empty 200 of a handler that
	// wrote nothing.
	ex.Fail(w, http.StatusBadRequest, "the request's body broke off or is malformed; send it again as a whole")
}

// lingering bounds how long the rest of a request's body is read and discarded after the
// answer, so that the connection can be used again, and so that a caller who reads no
// answer before he has sent everything gets this one.
const lingering = 5 * time.Second

// EndBody ends the reading of a body that was not read to its end. It is called when
// the request's handler has ended.
func (ex *Exchange) EndBody() {
	if ex.In.ReadCloser != nil && !ex.In.Ended() && ex.Answer.Status != http.StatusSwitchingProtocols {
		conn := http.NewResponseController(&ex.Answer)
		interrupted := ex.In.Release(func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
		wait := min(ex.Pace.Timeout, lingering)
		if interrupted || ex.Answer.Closing || ex.In.Broken() != nil {
			wait = 0 // nobody wants the rest, or net/http takes the caller for gone
		}
		_ = conn.SetReadDeadline(time.Now().Add(wait)) // if it fails, net/http's own limits apply
	}
}
