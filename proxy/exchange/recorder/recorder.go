package recorder

import (
	"errors"
	"net/http"
	"strconv"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/upstream/conversation"
)

// Recorder collects an answer of at most limit bytes. A larger one it passes
// on to w from then on, and an event stream from its beginning. It is an
// http.ResponseWriter for the links behind the one that makes it. Make one with
// New.
type Recorder struct {
	w         http.ResponseWriter
	ex        *exchange.Exchange
	limit     int64       // of bytes: those of its header that are kept, and of its body
	header    http.Header // w's
	status    int         // 0: no header yet
	body      []byte
	streaming bool   // it is passed on as it comes
	broken    bool   // see BreaksOff
	crowded   bool   // there was no room for more, although the answer is not too large
	keeper    Keeper // nil: the answer is kept for nobody
}

// Keeper wants to keep an answer for others than its caller.
type Keeper interface {
	// KeepHeader keeps what it wants of an answer's header, and returns how many bytes
	// that takes.
	KeepHeader(h http.Header) (size int)
	// Take takes room for n bytes more, and reports whether there was some.
	Take(n int64) bool
	// GiveBack gives back all that was taken.
	GiveBack()
	// Overflow is called before the first byte of an answer is passed on that cannot
	// be kept. crowded: it is not too large, but Take had no room.
	Overflow(crowded bool)
	// EventStream is called before an answer is passed on as it comes, however long
	// that takes.
	EventStream()
}

// New returns a Recorder in front of w. A nil keeper: the answer is looked at
// here, and kept for nobody else.
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

// Status is the answer's; 0: there is none.
func (rec *Recorder) Status() int { return rec.status }

// Body is what was collected of the answer's body.
func (rec *Recorder) Body() []byte { return rec.body }

// Limit is how many bytes of the answer's body may be collected.
func (rec *Recorder) Limit() int64 { return rec.limit }

// Streaming reports whether the answer has been passed on as it came.
func (rec *Recorder) Streaming() bool { return rec.streaming }

// Broken reports whether the answer is passed on as far as it came, see BreaksOff.
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

// stream passes on what was collected, as all that follows will be.
func (rec *Recorder) stream() {
	rec.streaming = true
	rec.w.WriteHeader(rec.status)
	_, _ = rec.w.Write(rec.body)
	rec.Release()
}

// room makes room for n bytes more, and reports whether they may be collected.
// An error of the shim's own may always: it is short, and tells those who wait
// for the call what became of it.
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

// Release forgets what was collected and gives back the room that it took.
func (rec *Recorder) Release() {
	rec.body = nil
	if rec.keeper != nil {
		rec.keeper.GiveBack()
	}
}

// announced is the answer's Content-Length as far as it can be kept; 0: none.
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

// FlushError flushes an answer that is passed on. The caller sees nothing of others
// before their end.
func (rec *Recorder) FlushError() error {
	if rec.streaming {
		return http.NewResponseController(rec.w).Flush()
	}
	return nil
}

// Fail puts an error of the shim's own in place of what was collected. One that is
// there already keeps its text.
func (rec *Recorder) Fail(status int, message string) {
	if rec.status != 0 && !rec.ex.FromUpstream {
		rec.status = status
		return
	}
	clear(rec.header)
	rec.status, rec.body = 0, nil
	rec.ex.Fail(rec, status, message)
}

// Reset forgets an answer, none of which was passed on, for the one that is to come
// in its place.
func (rec *Recorder) Reset() { clear(rec.header) }

// BreaksOff reports whether an answer that broke off is to do so for its caller
// too, as it would without the shim.
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

// WriteWhole writes a complete answer and reports whether the connection took
// all of it.
func WriteWhole(w http.ResponseWriter, status int, body []byte) error {
	h := w.Header()
	if len(body) > 0 && h["Trailer"] == nil { // else it stays as it came: it may be an answer to HEAD
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	return writeAsItCame(w, status, body)
}

// writeAsItCame is WriteWhole that leaves the answer's framing as it is.
func writeAsItCame(w http.ResponseWriter, status int, body []byte) error {
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		return err
	}
	return http.NewResponseController(w).Flush()
}
