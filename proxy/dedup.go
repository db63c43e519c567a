package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"powerjob-shim/internal/store"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/admin"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// DedupSettings are the settings of the dedup middleware. Limits count at the
// start only: a reload leaves the store, and what is in it, as it is.
type DedupSettings struct {
	Observe   bool  // decide and count, but forward everything, whatever the rules say
	MaxBody   int64 // a larger request body is forwarded as it comes, in bytes; 0: 1 MiB
	MaxAnswer int64 // a larger answer is not kept, in bytes; 0: 256 KiB
	Limits    dedup.Limits

	// MaxHeldAnswers bounds the bytes of all answers that are being collected at
	// once; an answer beyond it is streamed, and not kept. 0: 32 MiB.
	MaxHeldAnswers int64
}

func (s DedupSettings) maxHeldAnswers() int64 {
	if s.MaxHeldAnswers <= 0 {
		return 32 << 20
	}
	return s.MaxHeldAnswers
}

func (s DedupSettings) maxBody() int64 {
	if s.MaxBody <= 0 {
		return 1 << 20
	}
	return s.MaxBody
}

func (s DedupSettings) maxAnswer() int64 {
	if s.MaxAnswer <= 0 {
		return 256 << 10
	}
	return s.MaxAnswer
}

// dedupState is what the dedup middleware keeps for the life of the Proxy.
type dedupState struct {
	store     store.Store
	shared    bool         // by several replicas
	answers   atomic.Int64 // bytes of answers that are being collected, at most maxHeldAnswers
	repeaters repeaters
	warned    warnings
	overlaps  overlaps
	waiters   waiters
	// decisions counts for /status; the map itself never changes.
	decisions map[rules.Decision]*atomic.Uint64
}

func (p *Proxy) initDedup(record store.Store, s DedupSettings) {
	if record == nil {
		record = store.NewMemory(s.Limits)
	}
	p.dedupState.store, p.dedupState.shared = record, record.Status().Kind != "memory"
	p.dedupState.decisions = map[rules.Decision]*atomic.Uint64{}
	for _, d := range rules.Decisions() {
		p.dedupState.decisions[rules.Decision(d)] = new(atomic.Uint64)
	}
	p.metrics.ObserveStore(func() metrics.StoreStats { return metrics.StoreStats(p.dedupState.store.Stats()) })
}

// dedupStatus is what /status tells under "dedup".
func (p *Proxy) dedupStatus() admin.Dedup {
	s, store := p.dedupState.store.Stats(), p.dedupState.store.Status()
	decisions := map[rules.Decision]uint64{}
	for d, n := range p.dedupState.decisions {
		decisions[d] = n.Load()
	}
	return admin.Dedup{
		Store: store.Kind, Problems: store.Problems, Entries: s.Entries, Bytes: s.Bytes, InFlight: s.InFlight,
		Evicted: s.Evicted, Decisions: decisions,
	}
}

// dedup answers repeated calls from the store, and tells the store of every
// call that it needs to know a repetition by. Without any dedup rule it passes
// everything on. Of logins the store learns in login.go.
func (p *Proxy) dedup(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, ex *exchange) {
		window := ex.snap.Rules.Window()
		switch {
		case window > 0 && ex.noted(r):
			p.deduplicate(w, r, ex, next, window)
		case ex.match.Dedup != nil:
			p.decide(ex, rules.Forwarded, "")
			next(w, r, ex)
		default:
			next(w, r, ex)
		}
	}
}

// noted reports whether the store is told of a request: of every call but a
// login, known or not, since its client may repeat it, and of what a dedup rule
// names besides.
func (ex *exchange) noted(r *http.Request) bool {
	if kind, ok := openapi.KindOf(ex.path); ok && kind == openapi.Read {
		return r.Method == http.MethodPost
	}
	return (ex.match.Dedup != nil || ex.underOpenAPI()) && rules.Repeatable(r.Method, ex.path)
}

// deduplicate takes one call through the store.
func (p *Proxy) deduplicate(w http.ResponseWriter, r *http.Request, ex *exchange, next handler, window time.Duration) {
	store := p.dedupState.store
	call := ex.dedupCall(r, window)
	call.Issued = p.gaveOut(ex, call.Token)
	if ex.unheld != "" {
		p.bypass(ex, ex.unheld)
		p.passUnheld(w, r, ex, next, call)
		return
	}
	call.ID = store.NextID()
	u := &ex.underway
	u.caller = ex.caller
	if call.Dedup {
		p.dedupState.overlaps.enter(overlapOf(call), u)
		defer p.dedupState.overlaps.leave(u)
		u.awaitHangUp(r.Context(), !call.Body)
	}
	d := u.arrive(store, call)
	if d.Verdict != dedup.Refuse {
		defer store.Delivered(call.ID)
	}
	p.noteRefresh(ex, d)
	if d.Verdict == dedup.Lead && call.Dedup {
		p.recent.Led(ex.received, call.Key)
	}
	if d.Verdict == dedup.Wait {
		var err error
		if d, err = p.waitFor(r, ex, call.ID, d.Leader); err != nil {
			store.Leave(call.ID)
			p.gaveUp(w, ex, err)
			return
		}
	}
	p.noteResend(ex, d.Reason)
	p.carryOut(w, r, ex, next, &call, d)
}

// waitFor waits for what becomes of a call that waits for leader.
func (p *Proxy) waitFor(r *http.Request, ex *exchange, call, leader dedup.ID) (dedup.Ruling, error) {
	p.dedupState.waiters.add(leader, 1)
	defer p.dedupState.waiters.add(leader, -1)
	return p.await(r.Context(), ex, call)
}

// carryOut does with a call what the store has decided.
func (p *Proxy) carryOut(w http.ResponseWriter, r *http.Request, ex *exchange, next handler, call *dedup.Call, d dedup.Ruling) {
	switch d.Verdict {
	case dedup.Replay:
		decided := rules.Replayed
		if d.Waited {
			decided = rules.Coalesced
		}
		p.decide(ex, decided, string(d.Reason))
		p.noteDrop(ex, call)
		gone := ex.underway.settle() // not after the answer: see lead
		if err := ex.replay(w, d.Answer); err != nil || gone {
			ex.hungUp = true
			p.dedupState.store.Leave(call.ID)
		}
	case dedup.Pass:
		p.decide(ex, rules.Observed, string(d.Reason))
		p.noteDrop(ex, call)
		p.pass(w, r, ex, next, call.ID)
	case dedup.Refuse:
		p.bypass(ex, rules.BypassInFlight)
		next(w, r, ex)
	case dedup.Fail:
		decided := rules.Unknown
		if d.Outcome == dedup.NotSent {
			decided = rules.Coalesced
		}
		p.decide(ex, decided, string(d.Reason))
		p.noteDrop(ex, call)
		ex.failWaiter(w, d.Outcome)
	default:
		if call.Dedup {
			p.lead(w, r, ex, next, call, string(d.Reason))
		} else {
			p.pass(w, r, ex, next, call.ID)
		}
	}
}

// dedupCall describes the request to the store. One whose body is not held here
// may change anything, is equal only to others of its length, and gets nobody
// else's answer.
func (ex *exchange) dedupCall(r *http.Request, window time.Duration) dedup.Call {
	contentType, method, body := r.Header.Get("Content-Type"), r.Method, ex.body
	if ex.unheld != "" {
		method += " unheld" // no request has such a method
		body = strconv.AppendInt(nil, r.ContentLength, 10)
	}
	call := dedup.Call{
		Group: ex.group.name,
		App:   strings.Clone(first(r.Header[appIDKey])), // it may be kept; the header's text is long
		Token: ex.token(r),
		// Until the upstream's answer is in, and a while for what comes after.
		Lease:  ex.group.settings.Timeout + time.Minute,
		Window: window,
		Addr:   ex.clientAddr(),
		Agent:  dedup.AgentOf(r.UserAgent()),
	}
	if ex.group.settings.Timeout == 0 {
		call.Lease = 0
	}
	call.Key = dedup.KeyParts{
		Group: call.Group, Method: method, Path: ex.path, RawQuery: r.URL.RawQuery,
		ContentType: contentType, App: call.App, Origin: strings.Join(r.Header["Origin"], "\n"), Body: body,
	}.Key()
	switch kind, _ := openapi.KindOf(ex.path); {
	case ex.call == nil && kind == openapi.Read:
	case ex.call == nil:
		call.Subjects = openapi.OfUnlisted
	case ex.unheld != "":
		call.Subjects.Unknown = ex.call.Kind == openapi.Change
	default:
		call.Subjects = ex.call.AppendSubjects(ex.subject[:0], contentType, r.URL.RawQuery, body)
	}
	if rule := ex.match.Dedup; rule != nil {
		call.Dedup, call.Window = ex.unheld == "", rule.Window
		call.Body = rule.Match == rules.MatchBody
		call.Observe = rule.Observe || ex.snap.Dedup.Observe || ex.snap.Observing
	}
	return call
}

// await waits for the call that this one equals. It ends with the caller, and
// when the shim stops.
func (p *Proxy) await(ctx context.Context, ex *exchange, id dedup.ID) (dedup.Ruling, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.life, func() { cancel(errStopping) })()
	defer ex.caller.OnGone(func() { cancel(up.ErrHungUp) })()
	d, err := p.dedupState.store.Await(ctx, id)
	if err != nil {
		err = context.Cause(ctx)
	}
	return d, err
}

func (p *Proxy) gaveUp(w http.ResponseWriter, ex *exchange, err error) {
	p.decide(ex, rules.Unknown, "")
	if errors.Is(err, errStopping) {
		ex.fail(w, http.StatusGatewayTimeout, "stopping while an equal call is in flight; it may have been executed: look before you call again")
		return
	}
	ex.hungUp = true
	ex.fail(w, http.StatusBadGateway, "the caller closed the connection before an equal call was answered")
}

// failWaiter answers a caller who waited for a call that got no answer.
func (ex *exchange) failWaiter(w http.ResponseWriter, out dedup.OutcomeKind) {
	if out == dedup.NotSent {
		ex.unsent(w, http.StatusBadGateway, unansweredConnect, "cannot reach the PowerJob server; an equal call was in flight, and nothing of it was sent; call again")
		return
	}
	ex.fail(w, http.StatusGatewayTimeout, "an equal call was in flight, and the PowerJob server did not answer it; it may have been executed: look before you call again")
}

// decide notes what became of a call under a dedup rule.
func (p *Proxy) decide(ex *exchange, d rules.Decision, reason string) {
	ex.reason = reason
	if ex.match.Dedup == nil {
		return
	}
	ex.decided = d
	p.recent.Decided(ex.received, d)
	p.dedupState.decisions[d].Add(1)
	p.metrics.Decided(ex.callName(), d)
}

func (p *Proxy) bypass(ex *exchange, reason string) {
	if ex.match.Dedup == nil {
		return
	}
	p.decide(ex, rules.Bypassed, reason)
	p.metrics.DedupBypassed.WithLabelValues(reason).Inc()
}

// clientAddr is the address for the store and for warnings; invalid where the
// client's own is not known.
func (ex *exchange) clientAddr() netip.Addr {
	if ex.clientTrusted {
		return ex.client
	}
	return netip.Addr{}
}
