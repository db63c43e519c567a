package proxy

import (
	"errors"
	"net/http"
	"strconv"

	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/proxy/upstream/conversation"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/openapi"
)

// recorder collects an answer of at most limit bytes. A larger one it passes
// on to w from then on, and an event stream from its beginning.
type recorder struct {
	w         http.ResponseWriter
	limit     int64       // of bytes: those of its header that are kept, and of its body
	header    http.Header // w's
	kept      archive.Header
	status    int
	body      []byte
	streaming bool
	asItCame  bool    // see Settings.Observing
	broken    bool    // it is passed on as far as it came
	crowded   bool    // there was no room for more, although the answer is not too large
	taken     int64   // bytes of dedupState.answers
	leader    *leader // whose answer it is; nil: nobody's who must know of an overflow
}

// collect runs next, and reports whether the answer came to its end.
func (rec *recorder) collect(next handler, r *http.Request, ex *exchange) (whole bool) {
	defer func() {
		if broken := recover(); broken != nil {
			if err, ok := broken.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(broken)
			}
		}
	}()
	next(rec, r, ex)
	return true
}

// Header implements http.ResponseWriter.
func (rec *recorder) Header() http.Header { return rec.header }

// WriteHeader implements http.ResponseWriter. Informational ones are dropped:
// they are about a request that has been read already.
func (rec *recorder) WriteHeader(status int) {
	if status < 200 || rec.status != 0 {
		return
	}
	rec.status = status
	if conversation.IsEventStream(rec.header) {
		if rec.leader != nil {
			rec.leader.eventStream()
		}
		rec.stream()
		_ = rec.FlushError()
		return
	}
	if rec.leader != nil {
		rec.kept = archive.PackHeader(rec.header, ofReplays)
		rec.limit -= int64(len(rec.kept))
	}
}

func (rec *recorder) Write(b []byte) (int, error) {
	rec.WriteHeader(http.StatusOK)
	if rec.streaming {
		_, _ = rec.w.Write(b) // the caller may be gone: the call goes on
		_ = rec.FlushError()
		return len(b), nil
	}
	if rec.room(len(b)) {
		rec.body = append(rec.body, b...)
		return len(b), nil
	}
	if rec.leader != nil {
		rec.leader.overflow()
	}
	rec.stream()
	_, _ = rec.w.Write(b)
	_ = rec.FlushError()
	return len(b), nil
}

// stream passes on what was collected, as all that follows will be.
func (rec *recorder) stream() {
	rec.streaming = true
	rec.w.WriteHeader(rec.status)
	_, _ = rec.w.Write(rec.body)
	rec.release()
}

// room makes room for n bytes more, and reports whether they may be collected.
// An error of the shim's own may always: it is short, and tells those who wait
// for the call what became of it.
func (rec *recorder) room(n int) bool {
	need, had := len(rec.body)+n, cap(rec.body)
	own := rec.leader != nil && !rec.leader.ex.fromUpstream
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
	if rec.leader != nil && !own && !rec.take(int64(size-had)) {
		rec.crowded = true
		return false
	}
	rec.body = append(make([]byte, 0, size), rec.body...)
	return true
}

// take takes n bytes from what all answers may hold at once.
func (rec *recorder) take(n int64) bool {
	held := &rec.leader.proxy.dedupState.answers
	if held.Add(n) > rec.leader.ex.snap.Dedup.maxHeldAnswers() {
		held.Add(-n)
		return false
	}
	rec.taken += n
	return true
}

// release forgets what was collected and gives back what it took.
func (rec *recorder) release() {
	rec.body = nil
	if rec.taken > 0 {
		rec.leader.proxy.dedupState.answers.Add(-rec.taken)
		rec.taken = 0
	}
}

// announced is the answer's Content-Length as far as it can be kept; 0: none.
func (rec *recorder) announced() int {
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

// FlushError flushes an answer that is passed on; of others there is nothing to
// be seen before the end.
func (rec *recorder) FlushError() error {
	if rec.streaming {
		return http.NewResponseController(rec.w).Flush()
	}
	return nil
}

// outcome judges a collected answer.
func (rec *recorder) outcome(ex *exchange, whole bool) dedup.Outcome {
	switch {
	case !whole || ex.outcome == up.Unknown:
		return dedup.Outcome{Kind: dedup.Lost}
	case ex.outcome == up.NotSent:
		return dedup.Outcome{Kind: dedup.NotSent}
	case ex.denied:
		return dedup.Outcome{Kind: dedup.Denied}
	}
	body, ok := plainBody(rec.header, rec.body, rec.limit)
	if !ok || rec.limit < 0 { // not to be read, nor for others
		return dedup.Outcome{Kind: dedup.Answered, Status: rec.status}
	}
	answer := &dedup.Answer{
		Status: rec.status, Header: rec.kept, Auth: authValue(rec.header[authHeaderKey]), Body: body,
	}
	kind := dedup.Answered
	if rec.status == http.StatusOK && openapi.Succeeded(body) {
		kind = dedup.Kept
	}
	return dedup.Outcome{Kind: kind, Answer: answer, Status: rec.status}
}

// lost turns what was collected into the shim's own error for a call that was
// sent and got no whole answer: 504 for the leader as for those who wait.
func (rec *recorder) lost(ex *exchange) {
	if rec.status != 0 && !ex.fromUpstream { // forward has said it already
		rec.status = http.StatusGatewayTimeout
		return
	}
	clear(rec.header)
	rec.status, rec.body = 0, nil
	ex.fail(rec, http.StatusGatewayTimeout, "the PowerJob server broke its answer off; the call may have been executed: look before you call again")
}

// write passes the collected answer on.
func (rec *recorder) write() error {
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	if rec.asItCame {
		return writeAsItCame(rec.w, rec.status, rec.body)
	}
	return writeWhole(rec.w, rec.status, rec.body)
}

// writeWhole writes a complete answer and reports whether the connection took
// all of it.
func writeWhole(w http.ResponseWriter, status int, body []byte) error {
	h := w.Header()
	if len(body) > 0 && h["Trailer"] == nil { // else it stays as it came: it may be an answer to HEAD
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		return err
	}
	return http.NewResponseController(w).Flush()
}
