package replay

import (
	"net/http"
	"sync"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/exchange/headercase"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/dedup"
)

// pass forwards a call whose answer is not kept (a read, a change without a
// rule, one that is only observed) and streams it. The store learns of the
// answer before its first byte is written: then the client may repeat the call.
func (p *passage) pass(w http.ResponseWriter, r *http.Request, next exchange.Handler) {
	whole := false
	defer func() {
		if !whole {
			p.Store.Finish(p.call.ID, dedup.Outcome{Kind: dedup.Lost}) // counts only where no header came
			p.leave()
		}
	}()
	p.passing = passing{ResponseWriter: w, finish: func(status int) { p.Store.Finish(p.call.ID, p.passed(status, w.Header())) }}
	next(&p.passing, r, p.ex)
	whole = !p.ex.HungUp
}

// passUnheld is pass for a call whose body is not held here. It too may change
// something, and its client may repeat it. The store learns of it with its answer:
// while its body is on the way, neither has happened.
func (p *passage) passUnheld(w http.ResponseWriter, r *http.Request, next exchange.Handler) {
	out := dedup.Outcome{Kind: dedup.Lost}
	tell := sync.OnceFunc(func() { p.noteEnded(out) })
	defer tell()
	p.passing = passing{ResponseWriter: w, finish: func(status int) {
		out = p.passed(status, w.Header())
		tell()
	}}
	next(&p.passing, r, p.ex)
}

// noteEnded tells the store of a call that has ended.
func (p *passage) noteEnded(out dedup.Outcome) {
	p.call.ID = p.Store.NextID()
	d := p.Store.Arrive(p.call)
	if d.Verdict == dedup.Refuse {
		return
	}
	p.noteRefresh(d)
	p.noteResend(d.Reason)
	p.Store.Finish(p.call.ID, out)
	p.Store.Delivered(p.call.ID)
}

// passed is the outcome of a call that is passed on, as far as its answer's header
// tells.
func (p *passage) passed(status int, h http.Header) dedup.Outcome {
	out := dedup.Outcome{Kind: answeredKind(p.ex), Status: status, Passed: headercase.TellsTrue(h, p.ex.Match.Headers)}
	switch p.ex.Reached {
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
