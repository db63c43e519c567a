package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"powerjob-shim/internal/standin/client"
	"powerjob-shim/internal/store/storetest"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

const (
	window      = 5 * time.Second
	shimTimeout = 30 * time.Second
)

// shim is proxy/replay in virtual time, around the real Machine. storetest.Order holds
// both to the same steps.
type shim struct {
	w         *world
	name      string
	record    record // shims may share one
	downUntil time.Time
	issued    map[access.Token]bool // tokens that it saw being given out; shims may share them
	life      int                   // raised by a restart: what is in flight is lost
}

// flight is a call that the shim works on.
type flight struct {
	s      *shim
	record record // the shim's when the call came: a replaced one ends what it has
	x      *exchange
	id     dedup.ID
	life   int
}

func (f *flight) alive() bool { return f.life == f.s.life }

func (s *shim) serve(x *exchange) {
	if x.call == nil {
		s.login(x)
		return
	}
	if s.w.Strangers && !s.w.Checks && !s.issued[access.Fingerprint(token(x.request))] {
		s.refuse(x)
		return
	}
	f := &flight{s: s, record: s.record, x: x, id: s.record.nextID(), life: s.life}
	in := s.describe(x)
	in.ID = f.id
	x.hangUp = func() {
		if f.alive() {
			f.record.leave(f.id)
		}
	}
	f.record.arrive(in, func(d dedup.Ruling) {
		if f.alive() {
			s.w.note("%s %s at %s: %s %s", x.thread.name, x.name(), s.name, storetest.Verdicts[d.Verdict], d.Reason)
			f.carryOut(d)
		}
	})
}

// refuse is replay.Replayer.Denied: the store learns that the call was refused.
func (s *shim) refuse(x *exchange) {
	s.w.result.Faults["false"]++
	s.w.note("%s %s at %s: refused by the gate", x.thread.name, x.name(), s.name)
	call := s.describe(x)
	call.ID, call.Dedup, call.Body, call.Subjects = s.record.nextID(), false, false, openapi.Subjects{}
	s.record.arrive(call, func(dedup.Ruling) {
		s.record.finish(call.ID, dedup.Outcome{Kind: dedup.Denied}, func() {
			s.record.delivered(call.ID)
			x.answer(200, "false", []byte(`{"success":false,"code":"-401"}`))
		})
	})
}

func (s *shim) describe(x *exchange) dedup.Call {
	op := x.call.op
	call := dedup.Call{
		Group: "default", Key: op.key, App: header(x.request, openapi.AppIDHeader),
		Token:  access.Fingerprint(token(x.request)),
		Window: window, Lease: shimTimeout + time.Minute,
	}
	call.Issued = s.issued[call.Token]
	if s.w.Addresses {
		call.Addr = x.thread.proc.addr()
	}
	if x.from.IsValid() {
		call.Addr = x.from
	}
	call.Subjects = openapi.OfUnlisted
	if c, ok := openapi.Lookup(op.name); ok {
		call.Subjects = c.SubjectsOf(op.request.ContentType, "", op.request.Body)
	}
	if changes(op) {
		call.Dedup = true
		call.Body = op.name == "saveJob"
	}
	return call
}

// changes reports whether the shim takes an operation for a change.
func changes(op *operation) bool {
	kind, _ := openapi.KindOf(op.request.Path)
	return kind == openapi.Change
}

func (f *flight) carryOut(d dedup.Ruling) {
	switch d.Verdict {
	case dedup.Replay:
		f.deliver(d.Answer.Status, d.Answer.Auth, d.Answer.Body)
	case dedup.Wait:
		f.record.await(f.id, d.Leader, func() bool { return !f.alive() || f.x.gone }, f.carryOut)
	case dedup.Fail:
		status := 504
		if d.Outcome == dedup.NotSent {
			status = 502
		}
		f.deliver(status, "", nil)
	default:
		f.forward()
	}
}

// deliver answers the client; legacy answers get the shim's header.
func (f *flight) deliver(status int, auth string, body []byte) {
	if auth == "" && status == 200 {
		auth = "true"
	}
	if !f.x.answer(status, auth, body) {
		f.record.leave(f.id)
	}
	f.record.delivered(f.id)
	f.x.hangUp = nil
}

// forward sends the call to the server as a leader does: detached.
func (f *flight) forward() {
	f.s.w.server.handle(f.x.request, f.x.call, func(a answer) {
		if !f.alive() {
			return
		}
		out := dedup.Outcome{Kind: dedup.Lost}
		switch {
		case a.refused:
			out.Kind = dedup.NotSent
		case a.lost:
		case a.auth == "false":
			out.Kind = dedup.Denied
		default:
			out = dedup.Outcome{Kind: dedup.Answered, Status: a.status, Answer: &dedup.Answer{Status: a.status, Auth: a.auth, Body: a.body}}
			if op := f.x.call.op; changes(op) && a.status == 200 && openapi.Succeeded(a.body) {
				out.Kind = dedup.Kept
				if c, ok := openapi.Lookup(op.name); ok {
					out.Created = c.Created(a.body)
				}
			}
		}
		f.record.finish(f.id, out, func() {
			switch {
			case !f.alive():
			case out.Kind == dedup.NotSent:
				f.deliver(502, "", nil)
			case out.Kind == dedup.Lost:
				f.deliver(504, "", nil)
			default:
				f.deliver(a.status, a.auth, a.body)
			}
		})
	})
}

func (s *shim) login(x *exchange) {
	presented := token(x.request)
	if presented != "" {
		s.record.presented(access.Fingerprint(presented))
	}
	life := s.life
	s.record.now(func(requested time.Time) {
		if life == s.life {
			s.w.server.handle(x.request, nil, func(a answer) {
				if life == s.life {
					s.answerLogin(x, a, requested, presented)
				}
			})
		}
	})
}

func (s *shim) answerLogin(x *exchange, a answer, requested time.Time, presented string) {
	if a.refused || a.lost {
		x.answer(502, "", nil)
		return
	}
	auth := a.auth
	if auth == "" {
		auth = "true"
	}
	issued, ok := openapi.IssuedBy(a.body)
	if !ok {
		x.answer(a.status, auth, a.body)
		return
	}
	var addr netip.Addr
	if s.w.Addresses {
		addr = x.thread.proc.addr()
	}
	s.w.note("%s login(%s) -> %s", x.thread.name, presented, issued.Token)
	life := s.life
	s.issued[access.Fingerprint(issued.Token)] = true
	s.record.issued(dedup.Issue{
		Group: "default", App: issued.AppID, Token: access.Fingerprint(issued.Token), Addr: addr,
		Requested: requested, Bare: presented == "", Window: window,
	}, func() {
		if life == s.life && !x.answer(a.status, auth, a.body) {
			s.record.undelivered(access.Fingerprint(issued.Token))
		}
	})
}

// replace puts a new process in the shim's place: it takes new requests, and the old
// process ends those that it has in flight.
func (s *shim) replace() {
	s.w.note("%s is replaced", s.name)
	s.record, s.issued = s.w.held(newMemory(s.w)), map[access.Token]bool{}
}

// restart forgets what the shim alone knew; connections break.
func (s *shim) restart(down time.Duration) {
	s.life++
	s.downUntil = s.w.now.Add(down)
	s.w.result.Faults["restart"]++
	s.w.episodes = append(s.w.episodes, episode{"restart", s.w.now, s.w.now})
	s.w.note("%s restarts", s.name)
	s.record.restart()
	for _, x := range slices.Clone(s.w.open) {
		if x.shim == s && !x.done {
			// A pooled connection that is cut makes OkHttp send again silently.
			x.finish(client.Response{}, []error{errReset, client.ErrStaleConnection}[s.w.rng.IntN(2)])
		}
	}
}

func (p *process) addr() netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", p.index+1))
}

func isLogin(path string) bool {
	return strings.HasSuffix(path, "authApp") || strings.HasSuffix(path, "assert")
}
