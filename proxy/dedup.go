package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"powerjob-shim/metrics"
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
	store *dedup.Memory
	// bodies bounds the bytes of requests that are being read.
	bodies budget
	warned warnings
	// decisions counts for /status; the map itself never changes.
	decisions map[rules.Decision]*atomic.Uint64
}

func (p *Proxy) initDedup(s DedupSettings) {
	p.dedupState.store = dedup.NewMemory(s.Limits)
	p.dedupState.bodies.max = maxBodiesAtOnce
	p.dedupState.decisions = map[rules.Decision]*atomic.Uint64{}
	for _, d := range rules.Decisions() {
		p.dedupState.decisions[rules.Decision(d)] = new(atomic.Uint64)
	}
	p.metrics.ObserveStore(func() metrics.StoreStats { return metrics.StoreStats(p.dedupState.store.Stats()) })
}

// dedupStatus is what /status tells under "dedup".
func (p *Proxy) dedupStatus() any {
	s := p.dedupState.store.Stats()
	decisions := map[rules.Decision]uint64{}
	for d, n := range p.dedupState.decisions {
		decisions[d] = n.Load()
	}
	return struct {
		Store     string                    `json:"store"`
		Entries   int                       `json:"entries"`
		Bytes     int64                     `json:"bytes"`
		InFlight  int                       `json:"in_flight"`
		Evicted   uint64                    `json:"evicted_before_expiry"`
		Decisions map[rules.Decision]uint64 `json:"decisions"`
	}{"memory", s.Entries, s.Bytes, s.InFlight, s.Evicted, decisions}
}

// dedupNotes are the lines about the store in /readyz's body; none while all is well.
func (p *Proxy) dedupNotes() []string { return nil }

// dedup answers repeated calls from the store, and tells the store of every
// call and login that it needs to know a repetition by. Without any dedup rule
// it passes everything on.
func (p *Proxy) dedup(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ex := exchangeOf(r)
		window := ex.snap.Rules.Window()
		switch {
		case window == 0, ex.call == nil && ex.match.Dedup == nil:
			next.ServeHTTP(w, r)
		case ex.call != nil && ex.call.Kind == openapi.Login:
			p.login(w, r, next, window)
		default:
			p.deduplicate(w, r, next, window)
		}
	})
}

// deduplicate takes one call through the store.
func (p *Proxy) deduplicate(w http.ResponseWriter, r *http.Request, next http.Handler, window time.Duration) {
	ex, store := exchangeOf(r), p.dedupState.store
	body, bypass, err := p.readBody(w, r)
	defer body.release()
	switch {
	case err != nil: // cut off, malformed: what is not whole is not forwarded as whole
		ex.failure, ex.hungUp = err, errors.Is(err, errBodyCut)
		ex.fail(w, http.StatusBadRequest, "the request's body broke off or is malformed; send it again as a whole")
		return
	case bypass != "":
		p.bypass(ex, bypass)
		next.ServeHTTP(w, r)
		return
	}

	call := ex.dedupCall(r, body.bytes, window)
	call.ID = store.NextID()
	r = body.attach(r)
	d := store.Arrive(call)
	if d.Verdict != dedup.Refuse {
		defer store.Delivered(call.ID)
	}
	if d.Refreshed {
		p.metrics.Logins.WithLabelValues("refresh", "ok").Inc()
	}
	if d.Verdict == dedup.Wait {
		if d, err = p.await(r.Context(), call.ID); err != nil {
			store.Leave(call.ID)
			p.gaveUp(w, ex, err)
			return
		}
	}
	p.noteResend(ex, d.Reason)
	switch d.Verdict {
	case dedup.Replay:
		decided := rules.Replayed
		if d.Waited {
			decided = rules.Coalesced
		}
		p.decide(ex, decided, string(d.Reason))
		gone := r.Context().Err() != nil // not after the answer: see lead
		if err := ex.replay(w, d.Answer); err != nil || gone {
			ex.hungUp = true
			store.Leave(call.ID)
		}
	case dedup.Pass:
		p.decide(ex, rules.Observed, string(d.Reason))
		p.pass(w, r, next, call.ID)
	case dedup.Refuse:
		p.bypass(ex, rules.BypassInFlight)
		next.ServeHTTP(w, r)
	case dedup.Fail:
		p.decide(ex, rules.Unknown, string(d.Reason))
		ex.failWaiter(w, d.Outcome)
	default:
		if call.Dedup {
			p.lead(w, r, next, call, string(d.Reason))
		} else {
			p.pass(w, r, next, call.ID)
		}
	}
}

// dedupCall describes the request to the store.
func (ex *exchange) dedupCall(r *http.Request, body []byte, window time.Duration) dedup.Call {
	h := r.Header
	contentType := h.Get("Content-Type")
	call := dedup.Call{
		Group: ex.group.name,
		App:   h.Get(openapi.AppIDHeader),
		Token: dedup.Fingerprint(h.Get(openapi.TokenHeader)),
		// Until the upstream's answer is in, and a while for what comes after.
		Lease:  ex.group.settings.Timeout + time.Minute,
		Window: window,
		Addr:   ex.clientAddr(),
	}
	if ex.group.settings.Timeout == 0 {
		call.Lease = 0
	}
	call.Key = dedup.KeyParts{
		Group: call.Group, Method: r.Method, Path: ex.path, RawQuery: r.URL.RawQuery,
		ContentType: contentType, App: call.App, Body: body,
	}.Key()
	if ex.call != nil {
		call.Subjects = ex.call.SubjectsOf(contentType, r.URL.RawQuery, body)
	} else {
		call.Subjects.Unknown = true
	}
	if rule := ex.match.Dedup; rule != nil {
		call.Dedup, call.Window = true, rule.Window
		call.Body = rule.Match == rules.MatchBody
		call.Observe = rule.Observe || ex.snap.Dedup.Observe
	}
	return call
}

// await waits for the call that this one equals. It ends with the caller, and
// when the shim stops.
func (p *Proxy) await(ctx context.Context, id dedup.ID) (dedup.Decision, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.life, func() { cancel(errStopping) })()
	d, err := p.dedupState.store.Await(ctx, id)
	if err != nil {
		err = context.Cause(ctx)
	}
	return d, err
}

func (p *Proxy) gaveUp(w http.ResponseWriter, ex *exchange, err error) {
	p.decide(ex, rules.Unknown, "")
	if errors.Is(err, errStopping) {
		ex.fail(w, http.StatusServiceUnavailable, "stopping while an equal call is in flight; call again")
		return
	}
	ex.hungUp = true
	ex.fail(w, http.StatusBadGateway, "the caller closed the connection before an equal call was answered")
}

// failWaiter answers a caller who waited for a call that got no answer.
func (ex *exchange) failWaiter(w http.ResponseWriter, out dedup.OutcomeKind) {
	if out == dedup.NotSent {
		ex.fail(w, http.StatusBadGateway, "cannot reach the PowerJob server; an equal call was in flight, and nothing of it was sent; call again")
		return
	}
	ex.fail(w, http.StatusGatewayTimeout, "an equal call was in flight, and the PowerJob server did not answer it; it may have been executed: look before you call again")
}

// replay writes a recorded answer.
func (ex *exchange) replay(w http.ResponseWriter, a *dedup.Answer) error {
	ex.fromUpstream = true
	h := w.Header()
	if a.ContentType != "" {
		h["Content-Type"] = []string{a.ContentType}
	}
	if a.Auth != "" {
		h[authHeaderKey] = []string{a.Auth}
	}
	return writeWhole(w, a.Status, a.Body)
}

// decide notes what became of a call under a dedup rule.
func (p *Proxy) decide(ex *exchange, d rules.Decision, reason string) {
	ex.reason = reason
	if ex.match.Dedup == nil {
		return
	}
	ex.decided = d
	p.dedupState.decisions[d].Add(1)
	p.metrics.Dedup.WithLabelValues(ex.callName(), string(d)).Inc()
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
