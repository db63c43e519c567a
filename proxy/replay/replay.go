package replay

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"go.uber.org/zap"

	"powerjob-shim/internal/store"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/admin/recent"
	"powerjob-shim/proxy/exchange"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// Parts are what a Replayer is made of. All are needed.
type Parts struct {
	Store   store.Store
	Tokens  *access.Tokens // which the gate and the logins know
	Log     *zap.Logger
	Metrics *metrics.Metrics
	Recent  *recent.Calls
	Life    context.Context // of those who wait for an equal call
}

// Replayer is the shell round the dedup rules: it asks the store what becomes of a
// call, and does that. Make one with New; it is safe for concurrent use.
type Replayer struct {
	Parts
	shared    bool         // several replicas have the store in common
	answers   atomic.Int64 // bytes of answers that are being collected, at most DedupSettings.MaxHeldAnswers
	repeaters repeaters
	warned    warnings
	overlaps  overlaps
	waiters   waiters
	// decisions counts for /status; the map itself never changes.
	decisions map[rules.Decision]*atomic.Uint64
}

// New returns a Replayer that has decided nothing yet.
func New(parts Parts) *Replayer {
	rp := &Replayer{Parts: parts, shared: parts.Store.Status().Kind != "memory", decisions: map[rules.Decision]*atomic.Uint64{}}
	for _, d := range rules.Decisions() {
		rp.decisions[rules.Decision(d)] = new(atomic.Uint64)
	}
	return rp
}

// Decisions is how many calls came to which decision since the start.
func (rp *Replayer) Decisions() map[rules.Decision]uint64 {
	all := make(map[rules.Decision]uint64, len(rp.decisions))
	for d, n := range rp.decisions {
		all[d] = n.Load()
	}
	return all
}

// Held is how many bytes of answers are being collected.
func (rp *Replayer) Held() int64 { return rp.answers.Load() }

// Link answers repeated calls from the store, and tells the store of every call by
// which it recognises repetitions. Without any dedup rule it passes everything on.
// The login link tells the store of logins.
func (rp *Replayer) Link(next exchange.Handler) exchange.Handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange.Exchange) {
		window := ex.Snap.Rules.Window()
		switch {
		case window > 0 && ex.Noted(r):
			rp.newPassage(r, ex, window).deduplicate(w, r, next)
		case ex.Match.Dedup != nil:
			rp.decide(ex, rules.Forwarded, "")
			next(w, r, ex)
		default:
			next(w, r, ex)
		}
	}
}

// Denied tells the store that a call is answered with false by the gate. The
// client's login that follows is caused by it and pays for no other call's
// re-send, and the re-send of this one is a first execution.
func (rp *Replayer) Denied(r *http.Request, ex *exchange.Exchange) {
	window := ex.Snap.Rules.Window()
	if window == 0 || !ex.Noted(r) || ex.Token(r) == (access.Token{}) {
		return
	}
	p := rp.newPassage(r, ex, window)
	p.call.Dedup, p.call.Subjects = false, openapi.Subjects{} // it changes nothing
	p.noteEnded(dedup.Outcome{Kind: dedup.Denied})
}

// deduplicate takes the call through the store.
func (p *passage) deduplicate(w http.ResponseWriter, r *http.Request, next exchange.Handler) {
	if p.ex.Unheld != "" {
		p.bypass(p.ex, p.ex.Unheld)
		p.passUnheld(w, r, next)
		return
	}
	p.call.ID = p.Store.NextID()
	u := &p.underway
	u.caller = p.ex.Caller
	if p.call.Dedup {
		p.overlaps.enter(overlapOf(p.call), u)
		defer p.overlaps.leave(u)
		u.awaitHangUp(r.Context(), !p.call.Body)
	}
	d := u.arrive(p.Store, p.call)
	if d.Verdict != dedup.Refuse {
		defer p.Store.Delivered(p.call.ID)
	}
	p.noteRefresh(d)
	if d.Verdict == dedup.Lead && p.call.Dedup {
		p.Recent.Led(p.ex.Received, p.call.Key)
	}
	if d.Verdict == dedup.Wait {
		var err error
		if d, err = p.waitFor(r.Context(), d.Leader); err != nil {
			p.Store.Leave(p.call.ID)
			p.gaveUp(w, err)
			return
		}
	}
	p.noteResend(d.Reason)
	p.carryOut(w, r, next, d)
}

// carryOut does with the call what the store has decided.
func (p *passage) carryOut(w http.ResponseWriter, r *http.Request, next exchange.Handler, d dedup.Ruling) {
	switch d.Verdict {
	case dedup.Replay:
		decided := rules.Replayed
		if d.Waited {
			decided = rules.Coalesced
		}
		p.decide(p.ex, decided, string(d.Reason))
		p.noteDrop()
		hungUp := p.underway.settle() // not after the answer: see lead
		if err := p.replay(w, d.Answer); err != nil || hungUp {
			p.ex.HungUp = true
			p.Store.Leave(p.call.ID)
		}
	case dedup.Pass:
		p.decide(p.ex, rules.Observed, string(d.Reason))
		p.noteDrop()
		p.pass(w, r, next)
	case dedup.Refuse:
		p.bypass(p.ex, rules.BypassInFlight)
		next(w, r, p.ex)
	case dedup.Fail:
		decided := rules.Unknown
		if d.Outcome == dedup.NotSent {
			decided = rules.Coalesced
		}
		p.decide(p.ex, decided, string(d.Reason))
		p.noteDrop()
		p.failWaiter(w, d.Outcome)
	default:
		if p.call.Dedup {
			p.lead(w, r, next, string(d.Reason))
		} else {
			p.pass(w, r, next)
		}
	}
}

// waitFor waits for what becomes of the call, which equals leader. It ends with the
// caller, and when the shim stops.
func (p *passage) waitFor(ctx context.Context, leader dedup.ID) (dedup.Ruling, error) {
	p.waiters.add(leader, 1)
	defer p.waiters.add(leader, -1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.Life, func() { cancel(exchange.ErrStopping) })()
	defer p.ex.Caller.OnGone(func() { cancel(up.ErrHungUp) })()
	d, err := p.Store.Await(ctx, p.call.ID)
	if err != nil {
		err = context.Cause(ctx)
	}
	return d, err
}

// gaveUp answers a caller whose wait ended without a decision: he hung up, or the shim
// stops.
func (p *passage) gaveUp(w http.ResponseWriter, err error) {
	p.decide(p.ex, rules.Unknown, "")
	if errors.Is(err, exchange.ErrStopping) {
		p.ex.Fail(w, http.StatusGatewayTimeout, "stopping while an equal call is in flight; it may have been executed: look before you call again")
		return
	}
	p.ex.HungUp = true
	p.ex.Fail(w, http.StatusBadGateway, "the caller closed the connection before an equal call was answered")
}

// failWaiter answers a caller who waited for a call that got no answer.
func (p *passage) failWaiter(w http.ResponseWriter, out dedup.OutcomeKind) {
	if out == dedup.NotSent {
		p.ex.Unsent(w, http.StatusBadGateway, exchange.UnansweredConnect, "cannot reach the PowerJob server; an equal call was in flight, and nothing of it was sent; call again")
		return
	}
	p.ex.Fail(w, http.StatusGatewayTimeout, "an equal call was in flight, and the PowerJob server did not answer it; it may have been executed: look before you call again")
}

// decide notes what became of a call under a dedup rule.
func (rp *Replayer) decide(ex *exchange.Exchange, d rules.Decision, reason string) {
	ex.Reason = reason
	if ex.Match.Dedup == nil {
		return
	}
	ex.Decided = d
	rp.Recent.Decided(ex.Received, d)
	rp.decisions[d].Add(1)
	rp.Metrics.Decided(ex.CallName(), d)
}

// bypass notes that a call under a dedup rule passes without it.
func (rp *Replayer) bypass(ex *exchange.Exchange, reason string) {
	if ex.Match.Dedup == nil {
		return
	}
	rp.decide(ex, rules.Bypassed, reason)
	rp.Metrics.DedupBypassed.WithLabelValues(reason).Inc()
}
