package dedup

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Issue is a token that an upstream gave out in answer to an authApp.
type Issue struct {
	Group     string
	App       string // data.appId of the answer
	Token     Token
	Addr      netip.Addr // the client's address; invalid where it cannot be trusted
	Agent     Agent
	Requested time.Time // when the authApp arrived
	// Bare says that the authApp carried no token: a constructor's first login,
	// or a refresh that is followed by one re-send.
	Bare   bool
	Window time.Duration // how long the login waits for its re-send
}

// login is a token and what is known of it.
type login struct {
	peer
	token     Token
	app       *app
	requested moment
	issuedAt  moment
	usedAt    moment
	window    time.Duration
	expires   moment
	openUntil moment
	caller    *caller // of its last call

	ours    bool  // it was seen being given out, maybe before the window
	issued  bool  // it was seen being given out, for app, at issuedAt
	used    bool  // by a call, first at usedAt
	refresh bool  // by a login without a token, and it was not presented on an authApp
	open    bool  // a refresh whose re-send has not come yet
	lent    bool  // it paid for a call with another token, and may pay for its own once more
	guessed bool  // lineage is that of one of several equal calls
	known   bool  // it is a refresh of a client that was seen when it first logged in
	lineage Token // the constructor's token that it goes back to, as far as known
}

// app is an app of a group and the open logins to it, in order of request.
type app struct {
	key     appKey
	logins  int
	open    []*login
	machine *Machine
	// The calls whose marks are unspent, the oldest mark first.
	unspent []slot
	refused []slot // those of them whose token was refused
	// mixed says that one token came from two addresses: addresses tell nothing.
	mixed bool
	// threads says that a login paid for another token of its client: that
	// client's threads overwrite each other's.
	threads bool
}

// Issued takes in that a token was given out.
func (m *Machine) Issued(t time.Time, in Issue) {
	now := m.sweep(t)
	if in.Token == (Token{}) || m.logins[in.Token] != nil {
		return
	}
	l := m.addLogin(now, in.Token, appKey{in.Group, in.App}, peer{in.Addr, in.Agent}, in.Window)
	l.ours, l.issued, l.issuedAt, l.requested = true, true, now, m.clock(in.Requested)
	if in.Bare {
		l.refresh, l.openUntil = true, now.add(in.Window)
		l.reopen()
	}
}

// Presented takes in that an authApp carried a token: a constructor's. It is also
// for a token that did not reach its client. Neither pays for a re-send.
func (m *Machine) Presented(t time.Time, token Token) {
	m.sweep(t)
	if l := m.logins[token]; l != nil {
		l.refresh = false
		l.lineage = l.token
		l.pay()
	}
}

// see looks up a call's token and keeps it known for as long as it is used. It
// returns nil for a call without a token.
func (m *Machine) see(now moment, in Call) *login {
	if in.Token == (Token{}) {
		return nil
	}
	l := m.logins[in.Token]
	if l == nil {
		l = m.addLogin(now, in.Token, appKey{in.Group, in.App}, peer{in.Addr, in.Agent}, in.Window)
	}
	l.ours = l.ours || in.Issued
	l.touch(now, in.Window)
	l.app.closeOld(now)
	l.lent = l.lent && l.openUntil > now
	if l.ours && in.Addr.IsValid() && l.addr.IsValid() && in.Addr != l.addr {
		l.app.mixed = true
	}
	return l
}

func (m *Machine) addLogin(now moment, token Token, key appKey, of peer, window time.Duration) *login {
	a := m.apps[key]
	if a == nil {
		a = &app{key: key, machine: m}
		m.apps[key] = a
	}
	a.logins++
	l := &login{peer: of, token: token, app: a, window: window, lineage: token}
	l.touch(now, window)
	m.logins[token] = l
	m.unused.push(l.expires, l)
	m.grow(entryBytes)
	return l
}

func (m *Machine) dropLogin(l *login) {
	l.pay()
	delete(m.logins, l.token)
	if l.app.logins--; l.app.logins == 0 {
		delete(m.apps, l.app.key)
	}
}

// related reports whether two lineages may be one client's: they are the same,
// or of one of them it is not known where it begins.
func (m *Machine) related(a, b Token) bool { return a == b || !m.begins(a) || !m.begins(b) }

// begins reports whether a lineage begins with that token: it is no refresh.
func (m *Machine) begins(token Token) bool {
	l := m.logins[token]
	return l == nil || !l.refresh
}

func (l *login) touch(now moment, window time.Duration) {
	l.expires = max(l.expires, now.add(max(window, l.window)))
}

// pay closes a login: its re-send has come, or none is owed.
func (l *login) pay() {
	if !l.open {
		return
	}
	l.open = false
	a := l.app
	if a.open[0] == l { // whose time has come is the oldest: many may go at once
		a.open[0] = nil
		a.open = a.open[1:]
		return
	}
	for i := a.place(l); i < len(a.open); i++ {
		if a.open[i] == l {
			a.open = slices.Delete(a.open, i, i+1)
			return
		}
	}
}

// place returns where the open logins that were requested when l was begin.
func (a *app) place(l *login) int {
	i, _ := slices.BinarySearchFunc(a.open, l, func(a, b *login) int { return cmp.Compare(a.requested, b.requested) })
	return i
}

// closeOld closes the logins that have waited too long for their re-send: its
// client has gone.
func (a *app) closeOld(now moment) {
	a.open = slices.DeleteFunc(a.open, func(l *login) bool {
		if l.openUntil <= now {
			l.open = false
		}
		return !l.open
	})
}

// reopen undoes pay.
func (l *login) reopen() {
	if l.open || !l.refresh {
		return
	}
	l.open = true
	l.app.open = slices.Insert(l.app.open, l.app.place(l), l)
}
