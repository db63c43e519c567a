package replay

import (
	"net/http"
	"time"

	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/exchange/headercase"
	"powerjob-shim/proxy/exchange/recorder"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/dedup/archive"
	"powerjob-shim/rules/openapi"
)

// lead forwards a call whose answer other callers may get. It runs on the caller's
// goroutine. Once a byte is sent on, it continues even if the caller hangs up: the
// client gives up after 2 s, and its retry must find the answer. The order is:
//
//  1. the call is forwarded, and its answer collected;
//  2. the store learns of the answer, and the callers that wait for it wake;
//  3. the caller gets the answer; if it hung up meanwhile, the store learns that too.
func (p *passage) lead(w http.ResponseWriter, r *http.Request, next exchange.Handler, reason string) {
	ex := p.ex
	p.reason, p.makes = reason, ex.Call != nil && ex.Call.Makes(p.call.Subjects)
	p.rec = recorder.New(w, ex, ex.Snap.Dedup.AnswerBound(), p)
	defer p.rec.Release()
	ex.Detached = true
	if timeout := ex.Group.Settings.Timeout; timeout > 0 && !ex.Snap.Observing {
		ex.Until = time.Now().Add(timeout)
	}
	ex.Waiters = p
	defer p.underway.close()
	stay := func() bool { return true }
	if ex.Watched() || p.shared {
		// Note a hang-up at once: the retry may reach another replica, which cannot
		// ask this caller.
		stay = ex.Caller.OnGone(p.leave)
	}
	defer func() { stay() }()

	if whole := p.forward(r, next); p.rec.Streaming() {
		if !whole {
			panic(http.ErrAbortHandler) // the caller must see that the answer is cut off
		}
		return
	}
	// A caller that closes the connection after this has not hung up: many close it
	// as soon as they have their answer.
	hungUp := p.underway.settle()
	stay()
	if p.rec.Broken() {
		_ = p.rec.Pass() // as much as came
		panic(http.ErrAbortHandler)
	}
	if err := p.rec.Pass(); err != nil || hungUp {
		ex.HungUp = true
		p.leave()
	}
}

// forward calls next, tells the store how the call ended, and reports whether the
// answer is complete.
func (p *passage) forward(r *http.Request, next exchange.Handler) (whole bool) {
	finished := false
	defer func() {
		if !finished { // next panicked: the call may have been executed
			p.finish(dedup.Outcome{Kind: dedup.Lost})
		}
	}()
	whole = p.rec.Collect(next, r)
	finished = true
	if p.rec.Streaming() {
		return whole
	}
	p.underway.ask() // the last look before the store has the answer
	out := p.outcome(whole)
	if out.Kind == dedup.Kept && p.makes {
		out.Created = p.ex.Call.Created(out.Answer.Body)
	}
	p.finish(out)
	if out.Kind == dedup.Lost {
		p.decide(p.ex, rules.Unknown, p.reason)
		if !p.rec.BreaksOff() {
			// The leader gets 504, as the callers that wait for it do.
			p.rec.Fail(http.StatusGatewayTimeout, "the PowerJob server broke its answer off; the call may have been executed: look before you call again")
		}
	} else {
		p.decide(p.ex, rules.Forwarded, p.reason)
	}
	return whole
}

// outcome returns what the collected answer means for the store. whole: the answer is
// complete.
func (p *passage) outcome(whole bool) dedup.Outcome {
	switch {
	case !whole || p.ex.Reached == up.Unknown:
		return dedup.Outcome{Kind: dedup.Lost}
	case p.ex.Reached == up.NotSent:
		return dedup.Outcome{Kind: dedup.NotSent}
	case p.ex.Denied:
		return dedup.Outcome{Kind: dedup.Denied}
	}
	status, limit := p.rec.Status(), p.rec.Limit()
	body, ok := p.rec.PlainBody(limit)
	if !ok || limit < 0 { // it cannot be read, or is too large to be kept
		return dedup.Outcome{Kind: dedup.Answered, Status: status}
	}
	answer := &dedup.Answer{
		Status: status, Header: p.kept, Auth: headercase.AuthValue(p.rec.Header()[openapi.AuthKey]), Body: body,
	}
	kind := dedup.Answered
	if status == http.StatusOK && openapi.Succeeded(body) {
		kind = dedup.Kept
	}
	return dedup.Outcome{Kind: kind, Answer: answer, Status: status}
}

// finish tells the store how the call ended.
func (p *passage) finish(out dedup.Outcome) {
	out.Passed = headercase.TellsTrue(p.rec.Header(), p.ex.Match.Headers)
	p.Store.Finish(p.call.ID, out)
}

// leave tells the store that the caller has hung up.
func (p *passage) leave() { p.Store.Leave(p.call.ID) }

// Waiting reports whether others wait for the answer; see exchange.Verdicts.
func (p *passage) Waiting() bool { return p.waiters.any(p.call.ID) }

// KeepHeader implements Keeper.
func (p *passage) KeepHeader(h http.Header) (size int) {
	p.kept = archive.PackHeader(h, ofReplays)
	return len(p.kept)
}

// Take implements Keeper. All answers together may have HeldAnswersBound bytes.
func (p *passage) Take(n int64) bool {
	if p.answers.Add(n) > p.ex.Snap.Dedup.HeldAnswersBound() {
		p.answers.Add(-n)
		return false
	}
	p.taken += n
	return true
}

// GiveBack implements Keeper.
func (p *passage) GiveBack() {
	p.answers.Add(-p.taken)
	p.taken = 0
}

// Overflow implements Keeper.
func (p *passage) Overflow(crowded bool) {
	if crowded {
		p.bypass(p.ex, rules.BypassAnswerBudget)
	} else {
		p.decide(p.ex, rules.Forwarded, p.reason)
	}
	p.finish(dedup.Outcome{Kind: answeredKind(p.ex), Status: p.rec.Status()})
}

// EventStream implements Keeper. From now on the answer ends when the server ends it
// or the caller hangs up.
func (p *passage) EventStream() {
	p.ex.Detached, p.ex.Until = false, time.Time{}
	p.Overflow(false)
}

// answeredKind is the kind of outcome of a call that was answered: Denied if the
// upstream's auth header says false, else Answered.
func answeredKind(ex *exchange.Exchange) dedup.OutcomeKind {
	if ex.Denied {
		return dedup.Denied
	}
	return dedup.Answered
}
