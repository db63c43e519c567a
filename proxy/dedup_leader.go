package proxy

import (
	"net/http"
	"time"

	"powerjob-shim/rules"
	"powerjob-shim/rules/dedup"
)

// leader is a call that is forwarded and whose answer others may get. All that
// this takes is one object.
type leader struct {
	proxy  *Proxy
	ex     *exchange
	id     dedup.ID
	reason string
	makes  bool // see openapi.Call.Makes
	rec    recorder
}

// lead forwards a call whose answer others may get. It runs on the caller's
// goroutine but does not end with the caller: the client gives up after 2 s,
// and its retry must find the answer. The order is:
//
//  1. the call is forwarded, its answer collected;
//  2. the store learns of the answer, and the callers that wait for it wake;
//  3. the caller gets it; that it hung up meanwhile, the store learns too.
func (p *Proxy) lead(w http.ResponseWriter, r *http.Request, ex *exchange, next handler, call *dedup.Call, reason string) {
	l := &leader{
		proxy: p, ex: ex, id: call.ID, reason: reason,
		makes: ex.call != nil && ex.call.Makes(call.Subjects),
		rec:   recorder{w: w, limit: ex.snap.Dedup.maxAnswer(), header: w.Header(), asItCame: ex.snap.Observing},
	}
	l.rec.leader = l
	defer l.rec.release()
	ex.detached = true
	if timeout := ex.group.settings.Timeout; timeout > 0 && !ex.snap.Observing {
		ex.until = time.Now().Add(timeout)
	}
	ex.leads, ex.waiters = call.ID, &p.dedupState.waiters
	defer ex.underway.close()
	stay := func() bool { return true }
	if ex.watched() || p.dedupState.shared {
		// Whoever hangs up is noted at once: another replica, to which the retry may
		// come, cannot ask.
		stay = ex.caller.OnGone(l.left)
	}
	defer func() { stay() }()

	if whole := l.forward(r, next); l.rec.streaming {
		if !whole {
			panic(http.ErrAbortHandler) // the caller must see that it is cut off
		}
		return
	}
	// A caller that closes the connection after this is no one who hung up:
	// many do as soon as they have their answer.
	gone := ex.underway.settle()
	stay()
	if l.rec.broken {
		_ = l.rec.write() // as much as came
		panic(http.ErrAbortHandler)
	}
	if err := l.rec.write(); err != nil || gone {
		ex.hungUp = true
		l.left()
	}
}

// forward does what next does, tells the store, and reports whether the answer
// came to its end.
func (l *leader) forward(r *http.Request, next handler) (whole bool) {
	finished := false
	defer func() {
		if !finished { // a panic: whatever it was, the call may have been executed
			l.finish(dedup.Outcome{Kind: dedup.Lost})
		}
	}()
	whole = l.rec.collect(next, r, l.ex)
	finished = true
	if l.rec.streaming {
		return whole
	}
	l.ex.underway.ask() // what comes from here on is known by the answer
	out := l.rec.outcome(l.ex, whole)
	if out.Kind == dedup.Kept && l.makes {
		out.Created = l.ex.call.Created(out.Answer.Body)
	}
	l.finish(out)
	if out.Kind == dedup.Lost {
		l.proxy.decide(l.ex, rules.Unknown, l.reason)
		if !l.rec.breaksOff(l.ex) {
			l.rec.lost(l.ex)
		}
	} else {
		l.proxy.decide(l.ex, rules.Forwarded, l.reason)
	}
	return whole
}

// eventStream is called for an answer that is passed on as it comes, however
// long that takes: it ends with the server or the caller.
func (l *leader) eventStream() {
	l.ex.detached, l.ex.until = false, time.Time{}
	l.overflow()
}

// overflow is called before the first byte of an answer is passed on that is
// not kept: it is too large, or an event stream.
func (l *leader) overflow() {
	if l.rec.crowded {
		l.proxy.bypass(l.ex, rules.BypassAnswerBudget)
	} else {
		l.proxy.decide(l.ex, rules.Forwarded, l.reason)
	}
	l.finish(dedup.Outcome{Kind: answeredKind(l.ex), Status: l.rec.status})
}

func (l *leader) finish(out dedup.Outcome) {
	out.Passed = l.ex.tellsTrue(l.rec.header)
	l.proxy.dedupState.store.Finish(l.id, out)
}

func (l *leader) left() { l.proxy.dedupState.store.Leave(l.id) }

func answeredKind(ex *exchange) dedup.OutcomeKind {
	if ex.denied {
		return dedup.Denied
	}
	return dedup.Answered
}
