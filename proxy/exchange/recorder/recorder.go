package recorder

import (
	"errors"
	"net/http"
	"strconv"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/upstream/conversation"
)

// Recorder collects an answer of at most limit bytes. It passes a larger answer on to w
// once that exceeds the limit, and an event stream from the start. It is an
// http.ResponseWriter for the links behind the one that makes it. Make one with New.
type Recorder struct {
	w         http.ResponseWriter
	ex        *exchange.Exchange
	limit     int64       // bytes of the body that may be collected; what KeepHeader keeps is subtracted
	header    http.Header // w's
	status    int         // 0: no header yet
	body      []byte
	streaming bool   // the answer is passed on as it comes
	broken    bool   // see BreaksOff
	crowded   bool   // the answer is not too large, but Keeper.Take had no room
	keeper    Keeper // nil: the answer is not kept
}

// Keeper keeps an answer for others than its caller.
type Keeper interface {
	// KeepHeader keeps what it needs of an answer's header, and returns how many bytes
	// that takes.
	KeepHeader(h http.Header) (size int)
	// Take takes room for n bytes more, and reports whether there was some.
	Take(n int64) bool
	// GiveBack gives back all that was taken.
	GiveBack()
	// Overflow is called before the first byte of an answer that cannot be kept is
	// passed on. crowded says that it is not too large, but Take had no room.
	Overflow(crowded bool)
	// EventStream is called instead if the answer is an event stream, which is never
	// kept and may take any time.
	EventStream()
}

// New returns a Recorder in front of w. keeper may be nil: then the answer is not kept
// beyond the Recorder.
func New(w http.ResponseWriter, ex *exchange.Exchange, limit int64, keeper Keeper) Recorder {
	return Recorder{w: w, ex: ex, limit: limit, header: w.Header(), keeper: keeper}
}

// Collect runs next, and reports whether the answer came to its end.
func (rec *Recorder) Collect(next exchange.Handler, r *http.Request) (whole bool) {
	defer func() {
		if broken := recover(); broken != nil {
			if err, ok := broken.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(broken)
			}
		}
	}()
	next(rec, r, rec.ex)
	return true
}

// Status returns the answer's status; 0: there is none.
func (rec *Recorder) Status() int { return rec.status }

// Body returns what was collected of the answer's body.
func (rec *Recorder) Body() []byte { return rec.body }

// Limit returns how many bytes of the answer's body may be collected.
func (rec *Recorder) Limit() int64 { return rec.limit }

// Streaming reports whether the answer is being passed on as it comes.
func (rec *Recorder) Streaming() bool { return rec.streaming }

// Broken returns what BreaksOff returned last.
func (rec *Recorder) Broken() bool { return rec.broken }

// Header implements http.ResponseWriter.
func (rec *Recorder) Header() http.Header { return rec.header }

// WriteHeader implements http.ResponseWriter. It drops informational answers: the
// request has been read already.
func (rec *Recorder) WriteHeader(status int) {
	if status < 200 || rec.status != 0 {
		return
	}
	rec.status = status
	if conversation.IsEventStream(rec.header) {
		if rec.keeper != nil {
			rec.keeper.EventStream()
		}
		rec.stream()
		_ = rec.FlushError()
		return
	}
	if rec.keeper != nil {
		rec.limit -= int64(rec.keeper.KeepHeader(rec.header))
	}
}

func (rec *Recorder) Write(b []byte) (int, error) {
	rec.WriteHeader(http.StatusOK)
	if rec.streaming {
		_, _ = rec.w.Write(b) // the caller may have hung up: the call goes on
		_ = rec.FlushError()
		return len(b), nil
	}
	if rec.room(len(b)) {
		rec.body = append(rec.body, b...)
		return len(b), nil
	}
	if rec.keeper != nil {
		rec.keeper.Overflow(rec.crowded)
	}
	rec.stream()
	_, _ = rec.w.Write(b)
	_ = rec.FlushError()
	return len(b), nil
}

// stream passes on what was collected, and switches to passing on all that follows.
func (rec *Recorder) stream() {
	rec.streaming = true
	rec.w.WriteHeader(rec.status)
	_, _ = rec.w.Write(rec.body)
	rec.Release()
}

// room makes room for n more bytes, and reports whether they may be collected. An error
// of the shim's own always may: it is short, and tells those who wait for the call how
// it ended.
func (rec *Recorder) room(n int) bool {
	need, had := len(rec.body)+n, cap(rec.body)
	own := rec.keeper != nil && !rec.ex.FromUpstream
	if int64(need) > rec.limit && !own {
		return false
	}
	if need <= had {
		return true
	}
	size := max(need, min(2*had, int(rec.limit)))
	if rec.body == nil {
		size = max(need, rec.announced())
	}
	if rec.keeper != nil && !own && !rec.keeper.Take(int64(size-had)) {
		rec.crowded = true
		return false
	}
	rec.body = append(make([]byte, 0, size), rec.body...)
	return true
}

// Release drops what was collected and gives the room back.
func (rec *Recorder) Release() {
	rec.body = nil
	if rec.keeper != nil {
		rec.keeper.GiveBack()
	}
}

// announced returns the answer's Content-Length; 0: none, or more than may be collected.
func (rec *Recorder) announced() int {
	announced := rec.header["Content-Length"]
	if len(announced) == 0 {
		return 0
	}
	n, err := strconv.Atoi(announced[0])
	if err != nil || n < 0 || int64(n) > rec.limit {
		return 0
	}
	return n
}

// FlushError flushes an answer that is being passed on. For one that is collected it does
// nothing.
func (rec *Recorder) FlushError() error {
	if rec.streaming {
		return http.NewResponseController(rec.w).Flush()
	}
	return nil
}

// Fail replaces what was collected by an error of the shim's own. If that is such an
// error already, it changes only the status.
func (rec *Recorder) Fail(status int, message string) {
	if rec.status != 0 && !rec.ex.FromUpstream {
		rec.status = status
		return
	}
	clear(rec.header)
	rec.status, rec.body = 0, nil
	rec.ex.Fail(rec, status, message)
}

// Reset clears the header of an answer of which nothing was passed on, so that w can get
// another answer instead. The Recorder itself is not used again.
func (rec *Recorder) Reset() { clear(rec.header) }

// BreaksOff reports whether an answer that broke off must break off for its caller too,
// as it would without the shim. That is so in mode: observe.
func (rec *Recorder) BreaksOff() bool {
	rec.broken = rec.ex.Snap.Observing && rec.status != 0 && rec.ex.FromUpstream
	return rec.broken
}

// PlainBody returns the collected body as plainBody does.
func (rec *Recorder) PlainBody(limit int64) (plain []byte, ok bool) {
	return plainBody(rec.header, rec.body, limit)
}

// Pass passes the collected answer on.
func (rec *Recorder) Pass() error {
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	if rec.ex.Snap.Observing {
		return writeAsItCame(rec.w, rec.status, rec.body)
	}
	return WriteWhole(rec.w, rec.status, rec.body)
}

// WriteWhole writes a complete answer. It returns an error if the connection did not take
// all of it.
func WriteWhole(w http.ResponseWriter, status int, body []byte) error {
	h := w.Header()
	if len(body) > 0 && h["Trailer"] == nil { // else it stays as it came: it may be an answer to HEAD
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	return writeAsItCame(w, status, body)
}

// writeAsItCame is WriteWhole, but leaves the answer's framing as it is.
func writeAsItCame(w http.ResponseWriter, status int, body []byte) error {
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		return err
	}
	return http.NewResponseController(w).Flush()
}
