package proxy

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"powerjob-shim/rules"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// lead forwards a call whose answer others may get. It runs on the caller's
// goroutine but does not end with the caller: the client gives up after 2 s,
// and its retry must find the answer. The order is:
//
//  1. the call is forwarded, its answer collected;
//  2. the store learns of the answer, and those who wait for it wake;
//  3. the caller gets it; that it hung up meanwhile, the store learns too.
func (p *Proxy) lead(w http.ResponseWriter, r *http.Request, next http.Handler, call dedup.Call, reason string) {
	ex, store := exchangeOf(r), p.dedupState.store

	// A caller who hangs up is noted at once: its retry may be on the way.
	stay := context.AfterFunc(r.Context(), func() { store.Leave(call.ID) })
	defer stay()
	ctx, cancel := p.detach(r.Context(), ex)
	defer cancel()

	rec := recorder{w: w, limit: ex.snap.Dedup.maxAnswer(), header: w.Header()}
	rec.overflow = func() {
		p.decide(ex, rules.Forwarded, reason)
		store.Finish(call.ID, dedup.Outcome{Kind: answeredKind(ex), Status: rec.status})
	}
	finished := false
	defer func() {
		if !finished { // a panic: whatever it was, the call may have been executed
			store.Finish(call.ID, dedup.Outcome{Kind: dedup.Lost})
		}
	}()
	whole := rec.collect(next, r.WithContext(ctx))
	finished = true
	if rec.streaming {
		if !whole {
			panic(http.ErrAbortHandler) // the caller must see that it is cut off
		}
		return
	}

	out := rec.outcome(ex, whole)
	if out.Kind == dedup.Kept && ex.call != nil {
		out.Created = ex.call.Created(rec.body)
	}
	store.Finish(call.ID, out)
	if out.Kind == dedup.Lost {
		p.decide(ex, rules.Unknown, reason)
		rec.lost(ex)
	} else {
		p.decide(ex, rules.Forwarded, reason)
	}
	// A caller that closes the connection after this is no one who hung up:
	// many do as soon as they have their answer.
	here := stay() || errors.Is(context.Cause(r.Context()), errStopping)
	if err := rec.write(); err != nil || !here {
		ex.hungUp = true
		store.Leave(call.ID)
	}
}

// detach returns a context that outlives the caller's and ends with the
// upstream's timeout, or when the shim stops.
func (p *Proxy) detach(caller context.Context, ex *exchange) (context.Context, context.CancelFunc) {
	ctx, cancel := p.life, context.CancelFunc(nil)
	if t := ex.group.settings.Timeout; t > 0 {
		ctx, cancel = context.WithTimeout(ctx, t)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	return detached{ctx, caller}, cancel
}

// detached is a context with the values of another, but not its end.
// context.WithoutCancel and a hook on Proxy.life would be the same at three
// times the allocations.
type detached struct {
	context.Context
	caller context.Context
}

func (d detached) Value(key any) any {
	if v := d.Context.Value(key); v != nil { // how package context finds its own
		return v
	}
	return d.caller.Value(key)
}

func answeredKind(ex *exchange) dedup.OutcomeKind {
	if ex.denied {
		return dedup.Denied
	}
	return dedup.Answered
}

// recorder collects an answer of at most limit bytes. A larger one it passes
// on to w from then on.
type recorder struct {
	w         http.ResponseWriter
	limit     int64
	header    http.Header // w's
	status    int
	body      []byte
	streaming bool
	overflow  func() // called once, before the first byte is passed on
}

// collect runs next, and reports whether the answer came to its end.
func (rec *recorder) collect(next http.Handler, r *http.Request) (whole bool) {
	defer func() {
		if broken := recover(); broken != nil {
			if err, ok := broken.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(broken)
			}
		}
	}()
	next.ServeHTTP(rec, r)
	return true
}

// Header implements http.ResponseWriter.
func (rec *recorder) Header() http.Header { return rec.header }

// WriteHeader implements http.ResponseWriter. Informational ones are dropped:
// they are about a request that has been read already.
func (rec *recorder) WriteHeader(status int) {
	if status >= 200 && rec.status == 0 {
		rec.status = status
	}
}

func (rec *recorder) Write(b []byte) (int, error) {
	rec.WriteHeader(http.StatusOK)
	if rec.streaming {
		_, _ = rec.w.Write(b) // the caller may be gone: the call goes on
		return len(b), nil
	}
	if int64(len(rec.body)+len(b)) <= rec.limit {
		if rec.body == nil {
			rec.body = make([]byte, 0, max(len(b), rec.announced()))
		}
		rec.body = append(rec.body, b...)
		return len(b), nil
	}
	rec.overflow()
	rec.streaming = true
	rec.w.WriteHeader(rec.status)
	_, _ = rec.w.Write(rec.body)
	_, _ = rec.w.Write(b)
	rec.body = nil
	return len(b), nil
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

// FlushError lets a ReverseProxy flush: there is nothing to be seen before the
// end, but for an answer that is passed on.
func (rec *recorder) FlushError() error {
	if rec.streaming {
		return http.NewResponseController(rec.w).Flush()
	}
	return nil
}

// outcome judges a collected answer.
func (rec *recorder) outcome(ex *exchange, whole bool) dedup.Outcome {
	switch {
	case !whole || ex.outcome == outcomeUnknown:
		return dedup.Outcome{Kind: dedup.Lost}
	case ex.outcome == outcomeNotSent:
		return dedup.Outcome{Kind: dedup.NotSent}
	case ex.denied:
		return dedup.Outcome{Kind: dedup.Denied}
	}
	answer := &dedup.Answer{
		Status: rec.status, ContentType: rec.header.Get("Content-Type"),
		Auth: authValue(rec.header[authHeaderKey]), Body: rec.body,
	}
	kind := dedup.Answered
	if rec.status == http.StatusOK && openapi.Succeeded(rec.body) {
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
