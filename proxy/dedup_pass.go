package proxy

import (
	"net/http"
	"sync"

	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/dedup"
)

// pass forwards a call whose answer is not kept (a read, a change without a
// rule, one that is only observed) and streams it. The store learns of the
// answer before its first byte is written: then the client may repeat the call.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request, ex *exchange, next handler, id dedup.ID) {
	store := p.dedupState.store
	whole := false
	defer func() {
		if !whole {
			store.Finish(id, dedup.Outcome{Kind: dedup.Lost}) // counts only where no header came
			store.Leave(id)
		}
	}()
	next(&passing{ResponseWriter: w, finish: func(status int) { store.Finish(id, ex.passed(status, w.Header())) }}, r, ex)
	whole = !ex.hungUp
}

// passUnheld is pass for a call whose body is not held here. It too changes
// things, and its client may repeat it; of both the store learns with its answer,
// since a body that stands still does neither.
func (p *Proxy) passUnheld(w http.ResponseWriter, r *http.Request, ex *exchange, next handler, call dedup.Call) {
	out := dedup.Outcome{Kind: dedup.Lost}
	tell := sync.OnceFunc(func() { p.noteEnded(ex, call, out) })
	defer tell()
	next(&passing{ResponseWriter: w, finish: func(status int) {
		out = ex.passed(status, w.Header())
		tell()
	}}, r, ex)
}

// noteEnded tells the store of a call that has ended.
func (p *Proxy) noteEnded(ex *exchange, call dedup.Call, out dedup.Outcome) {
	store := p.dedupState.store
	call.ID = store.NextID()
	d := store.Arrive(call)
	if d.Verdict == dedup.Refuse {
		return
	}
	p.noteRefresh(ex, d)
	p.noteResend(ex, d.Reason)
	store.Finish(call.ID, out)
	store.Delivered(call.ID)
}

// passed is how a call ended that was passed on, at its answer's header.
func (ex *exchange) passed(status int, h http.Header) dedup.Outcome {
	out := dedup.Outcome{Kind: answeredKind(ex), Status: status, Passed: ex.tellsTrue(h)}
	switch ex.outcome {
	case up.NotSent:
		out.Kind = dedup.NotSent
	case up.Unknown:
		out.Kind = dedup.Lost
	}
	return out
}

// passing calls finish before an answer's header is written.
type passing struct {
	http.ResponseWriter
	finish func(status int)
}

// Unwrap lets http.ResponseController reach what is beneath.
func (w *passing) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *passing) WriteHeader(status int) {
	if status >= 200 && w.finish != nil {
		w.finish(status)
		w.finish = nil
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *passing) Write(b []byte) (int, error) {
	if w.finish != nil {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}
