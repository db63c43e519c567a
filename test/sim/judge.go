package sim

import (
	"slices"
	"time"
)

// judge compares the record with what was called.
func (w *world) judge() {
	type count struct{ called, succeeded, executed int }
	counts := map[*operation]*count{}
	for _, c := range w.calls {
		if counts[c.op] == nil {
			counts[c.op] = &count{}
		}
		counts[c.op].called++
		if c.succeeded {
			counts[c.op].succeeded++
		}
	}
	for _, c := range w.server.executions {
		counts[c.op].executed++
	}
	for _, op := range w.ops {
		n := counts[op]
		if n == nil || op.read {
			continue
		}
		w.result.Calls += n.called
		w.result.Executions += n.executed
		w.result.Doubled += max(0, n.executed-n.called)
		if n.executed != n.called {
			w.note("%s: called %d times, %d successful, executed %d times", op.label, n.called, n.succeeded, n.executed)
		}
		if op.name != "saveJob" { // equal saves are one by the operator's choice
			w.result.Dropped += max(0, n.succeeded-n.executed)
		}
	}
	w.result.BadStates = w.badStates()
	if w.Network {
		w.judgeStore()
	}
}

// badStates counts the subjects whose last execution belongs to an outdated body:
// every call of that body had ended before some other call on the subject, which was
// executed, began.
func (w *world) badStates() int { //nolint:gocognit // a definition, in one piece
	last := map[string]*operation{}
	for _, c := range w.server.executions {
		if c.op.name != "runJob" { // it changes no state of the job
			last[c.op.subject] = c.op
		}
	}
	bad := 0
	for subject, op := range last {
		latestEnd := time.Time{}
		unknown := false
		for _, c := range w.calls {
			if c.op == op {
				unknown = unknown || c.failed || c.ended.IsZero()
				if c.ended.After(latestEnd) {
					latestEnd = c.ended
				}
			}
		}
		overtaken := slices.ContainsFunc(w.calls, func(c *logical) bool {
			return c.op.subject == subject && c.op != op && c.op.name != "runJob" && !c.op.read && c.succeeded && c.started.After(latestEnd) && !w.retries(c)
		})
		if overtaken && !unknown {
			bad++
		}
	}
	return bad
}

// retries reports whether c may be taken for the retry of a call that failed:
// an equal one of the same process, not long before. docs/promise.md names it.
func (w *world) retries(c *logical) bool {
	return slices.ContainsFunc(w.calls, func(e *logical) bool {
		return e.failed && e.op == c.op && e.proc == c.proc && e.started.Before(c.started) &&
			c.started.Sub(e.ended) < shimTimeout+window
	})
}
