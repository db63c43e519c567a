package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"powerjob-shim/internal/client"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

const (
	window      = 5 * time.Second
	shimTimeout = 30 * time.Second
)

// shim is proxy/dedup.go in virtual time, around the real Machine.
type shim struct {
	w         *world
	name      string
	machine   **dedup.Machine // shims may share one
	downUntil time.Time
	life      int // raised by a restart: what is in flight is lost
	lastID    *dedup.ID
	waiting   map[dedup.ID][]func() // by leader
}

// flight is a call that the shim works on.
type flight struct {
	s    *shim
	x    *exchange
	id   dedup.ID
	life int
}

func (f *flight) alive() bool { return f.life == f.s.life }

func (s *shim) serve(x *exchange) {
	if x.call == nil {
		s.login(x)
		return
	}
	m := *s.machine
	*s.lastID++
	f := &flight{s: s, x: x, id: *s.lastID, life: s.life}
	in := s.describe(x)
	in.ID = f.id
	d := m.Arrive(s.w.now, in)
	s.w.note("%s %s at %s: %s %s", x.thread.name, x.name(), s.name, verdicts[d.Verdict], d.Reason)
	x.hangUp = func() {
		if f.alive() {
			(*s.machine).Leave(s.w.now, f.id)
		}
	}
	f.carryOut(d)
}

var verdicts = [...]string{"lead", "wait", "replay", "pass", "fail", "refuse"}

func (s *shim) describe(x *exchange) dedup.Call {
	op := x.call.op
	call := dedup.Call{
		Group: "default", Key: op.key, App: appHeader(x),
		Token:  dedup.Fingerprint(token(x.request)),
		Window: window, Lease: shimTimeout + time.Minute,
	}
	if s.w.Addresses {
		call.Addr = x.thread.proc.addr()
	}
	c, _ := openapi.Lookup(op.name)
	call.Subjects = c.SubjectsOf(op.request.ContentType, "", op.request.Body)
	if c.Kind == openapi.Change {
		call.Dedup = true
		call.Body = op.name == "saveJob"
	}
	return call
}

func appHeader(x *exchange) string {
	for _, f := range x.request.Header {
		if f.Name == "X-POWERJOB-APP-ID" {
			return f.Value
		}
	}
	return ""
}

func (f *flight) carryOut(d dedup.Decision) {
	m := *f.s.machine
	switch d.Verdict {
	case dedup.Replay:
		f.deliver(d.Answer.Status, d.Answer.Auth, d.Answer.Body)
	case dedup.Wait:
		f.s.waiting[d.Leader] = append(f.s.waiting[d.Leader], func() {
			if !f.alive() {
				return
			}
			if f.x.gone { // it has left
				return
			}
			f.carryOut(m.Resume(f.s.w.now, f.id))
		})
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
	m := *f.s.machine
	if !f.x.answer(status, auth, body) {
		m.Leave(f.s.w.now, f.id)
	}
	m.Delivered(f.s.w.now, f.id)
	f.x.hangUp = nil
}

// forward sends the call to the server as a leader does: detached.
func (f *flight) forward() {
	w := f.s.w
	f.s.w.server.handle(f.x.request, f.x.call, func(a answer) {
		if !f.alive() {
			return
		}
		m := *f.s.machine
		out := dedup.Outcome{Kind: dedup.Lost}
		switch {
		case a.refused:
			out.Kind = dedup.NotSent
		case a.lost:
		case a.auth == "false":
			out.Kind = dedup.Denied
		default:
			out = dedup.Outcome{Kind: dedup.Answered, Status: a.status, Answer: &dedup.Answer{Status: a.status, Auth: a.auth, Body: a.body}}
			c, _ := openapi.Lookup(f.x.call.op.name)
			if c.Kind == openapi.Change && a.status == 200 && openapi.Succeeded(a.body) {
				out.Kind = dedup.Kept
				out.Created = c.Created(a.body)
			}
		}
		m.Finish(w.now, f.id, out)
		f.s.wake(f.id)
		switch out.Kind {
		case dedup.NotSent:
			f.deliver(502, "", nil)
		case dedup.Lost:
			f.deliver(504, "", nil)
		default:
			f.deliver(a.status, a.auth, a.body)
		}
	})
}

func (s *shim) wake(leader dedup.ID) {
	all := s.waiting[leader]
	delete(s.waiting, leader)
	for _, f := range all {
		f()
	}
}

func (s *shim) login(x *exchange) {
	w := s.w
	presented := token(x.request)
	if presented != "" {
		(*s.machine).Presented(w.now, dedup.Fingerprint(presented))
	}
	requested, life := w.now, s.life
	w.server.handle(x.request, nil, func(a answer) {
		if life != s.life {
			return
		}
		if a.refused || a.lost {
			x.answer(502, "", nil)
			return
		}
		if issued, ok := openapi.IssuedBy(a.body); ok {
			var addr netip.Addr
			if w.Addresses {
				addr = x.thread.proc.addr()
			}
			(*s.machine).Issued(w.now, dedup.Issue{
				Group: "default", App: issued.AppID, Token: dedup.Fingerprint(issued.Token), Addr: addr,
				Requested: requested, Bare: presented == "", Window: window,
			})
			w.note("%s login(%s) -> %s", x.thread.name, presented, issued.Token)
		}
		auth := a.auth
		if auth == "" {
			auth = "true"
		}
		x.answer(a.status, auth, a.body)
	})
}

// restart forgets what the shim alone knew; connections break.
func (s *shim) restart(down time.Duration) {
	s.life++
	s.downUntil = s.w.now.Add(down)
	s.waiting = map[dedup.ID][]func(){}
	s.w.result.Faults["restart"]++
	s.w.note("%s restarts", s.name)
	if !s.w.Shared {
		*s.machine = s.w.newMachine()
	}
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
