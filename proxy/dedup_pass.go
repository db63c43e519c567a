package proxy

import (
	"net/http"

	"powerjob-shim/rules/dedup"
)

// pass forwards a call whose answer is not kept (a read, a change without a
// rule, one that is only observed) and streams it. The store learns of the
// answer before its first byte is written: then the client may repeat the call.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request, next http.Handler, id dedup.ID) {
	ex, store := exchangeOf(r), p.dedupState.store
	whole := false
	defer func() {
		if !whole {
			store.Finish(id, dedup.Outcome{Kind: dedup.Lost}) // counts only where no header came
			store.Leave(id)
		}
	}()
	next.ServeHTTP(&passing{ResponseWriter: w, finish: func(status int) {
		out := dedup.Outcome{Kind: answeredKind(ex), Status: status}
		switch ex.outcome {
		case outcomeNotSent:
			out.Kind = dedup.NotSent
		case outcomeUnknown:
			out.Kind = dedup.Lost
		}
		store.Finish(id, out)
	}}, r)
	whole = !ex.hungUp
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
