package dedup

import (
	"net/netip"
	"time"

	"powerjob-shim/internal/ordered"
	"powerjob-shim/rules/access"
	"powerjob-shim/rules/openapi"
)

// Issue is a token that an upstream gave out in answer to an authApp.
type Issue struct {
	Group     string
	App       string // data.appId of the answer
	Token     access.Token
	Addr      netip.Addr // the client's address; invalid where it cannot be trusted
	Agent     openapi.Agent
	Requested time.Time // when the authApp arrived
	// Bare says that the authApp carried no token: a constructor's first login,
	// or a refresh that is followed by one re-send.
	Bare   bool
	Window time.Duration // how long the login waits for its re-send
}

// login is the record of a token: of the login that gave it out or, if that was not seen,
// of the calls that carry it.
//
// Its last four fields say whose it is. Say two threads of a client get the tokens A and B,
// and B overwrites A in the field that they share: both re-sends carry B. Login B pays for
// one and takes over its first send's lineage, guessed if several equal calls had marks.
// Login A pays for the other, but may be another client's: so it has paidForAnother.
type login struct {
	peer
	token     access.Token
	app       *app
	number    uint64 // no other login has it
	requested moment
	issuedAt  moment
	usedAt    moment
	window    time.Duration
	expires   moment
	openUntil moment
	caller    *caller // of its last call

	ours           bool         // it was seen being given out, however long ago (Call.Issued)
	issued         bool         // Issued saw it being given out, for app, at issuedAt
	used           bool         // a call carried it, for the first time at usedAt
	refresh        bool         // the login carried no token, and no authApp has carried this one
	open           bool         // it is a refresh whose re-send has not come yet
	paidForAnother bool         // it paid for a call with another token, and may pay for its own once more
	guessed        bool         // lineage is that of one of several equal calls
	clientKnown    bool         // it is a refresh of a client whose constructor was seen
	lineage        access.Token // the constructor's token that it goes back to, as far as known
}

// appKey names an app of a group by its id.
type appKey struct{ group, id string }

// app is an app of a group.
type app struct {
	key    appKey
	logins int
	open   ordered.List[*login] // by the time of their request
	// The callers of refused calls with unspent marks, by the marks' time.
	refused   ordered.List[*caller] // their tokens were seen being given out
	strangers ordered.List[*caller] // their tokens were not
	// mixed says that one token came from two addresses: addresses tell nothing.
	mixed bool
	// threads says that a login paid for another token of its client: that
	// client's threads overwrite each other's.
	threads bool
}

// Issued takes in that a token was given out.
func (m *Machine) Issued(t time.Time, in Issue) {
	now := m.expireDue(t)
	if in.Token == (access.Token{}) || m.logins[in.Token] != nil {
		return
	}
	l := m.addLogin(now, in.Token, appKey{in.Group, in.App}, peer{in.Addr, in.Agent}, in.Window)
	l.ours, l.issued, l.issuedAt, l.requested = true, true, now, m.clock(in.Requested)
	if in.Bare {
		l.refresh, l.openUntil = true, now.add(in.Window)
		m.reopen(l)
	}
}

// Presented takes in that no re-send follows a login: an authApp carried its token, so it is
// a constructor's, or the token did not reach its client, which logs in once more.
func (m *Machine) Presented(t time.Time, token access.Token) {
	m.expireDue(t)
	if l := m.logins[token]; l != nil {
		l.refresh = false
		l.lineage = l.token
		m.close(l)
	}
}

// loginOf looks up a call's token and keeps it known for as long as it is used. It
// returns nil for a call without a token.
func (m *Machine) loginOf(now moment, in Call) *login {
	if in.Token == (access.Token{}) {
		return nil
	}
	l := m.logins[in.Token]
	if l == nil {
		l = m.addLogin(now, in.Token, appKey{in.Group, in.App}, peer{in.Addr, in.Agent}, in.Window)
	} else {
		m.touch(l, now, in.Window)
	}
	l.ours = l.ours || in.Issued
	l.paidForAnother = l.paidForAnother && l.openUntil > now
	if l.ours && in.Addr.IsValid() && l.addr.IsValid() && in.Addr != l.addr {
		l.app.mixed = true
	}
	return l
}

// seen returns the record of a token, for reading only; an empty one if it has none.
func (m *Machine) seen(token access.Token) *login {
	if l := m.logins[token]; l != nil {
		return l
	}
	return &unseen
}

var unseen login

func (m *Machine) addLogin(now moment, token access.Token, key appKey, of peer, window time.Duration) *login {
	a := m.apps[key]
	if a == nil {
		a = &app{key: key}
		m.apps[key] = a
	}
	a.logins++
	l := &login{peer: of, token: token, app: a, number: m.next(), window: window, lineage: token}
	m.logins[token] = l
	m.touch(l, now, window)
	m.grow(entryBytes)
	return l
}

// touch keeps a login known for one more window from now.
func (m *Machine) touch(l *login, now moment, window time.Duration) {
	m.windows.Remove(l.at(l.expires))
	l.expires = max(l.expires, now.add(max(window, l.window)))
	m.windows.Add(l.at(l.expires), l)
}

func (l *login) expire(m *Machine) {
	m.close(l)
	delete(m.logins, l.token)
	if l.app.logins--; l.app.logins == 0 {
		delete(m.apps, l.app.key)
	}
}

// related reports whether two lineages may be one client's: they are the same, or one
// begins with a refresh, so that its earlier tokens are not known.
func (m *Machine) related(a, b access.Token) bool {
	return a == b || m.seen(a).refresh || m.seen(b).refresh
}

// close ends a login's wait for its re-send: it has come, or none will.
func (m *Machine) close(l *login) {
	if l.open {
		l.open = false
		l.app.open.Remove(l.at(l.requested))
		m.opens.Remove(l.at(l.openUntil))
	}
}

// reopen undoes close.
func (m *Machine) reopen(l *login) {
	if !l.open && l.refresh {
		l.open = true
		l.app.open.Add(l.at(l.requested), l)
		m.opens.Add(l.at(l.openUntil), l)
	}
}

// at is a login's key in a list ordered by one of its moments: behind calls of that moment.
func (l *login) at(t moment) ordered.Key { return ordered.Key{At: int64(t), N: 1<<63 | l.number} }
