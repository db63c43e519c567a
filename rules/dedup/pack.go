package dedup

import (
	"encoding/binary"
	"net/netip"
	"unique"
)

// Most calls are over within milliseconds and remembered for seconds, so nearly
// all that a store holds is calls that are over, each the only one of its key.
// Such a history is packed: of history, call and answer only the entry is left,
// which is a quarter of them. The next call with that key unpacks it, and the
// rules never see that it was packed: pack, then unpack, makes no difference.

// entry is what stays of a call for as long as it is remembered.
type entry struct {
	key     Key
	mark    mark   // left by the call's answer
	arrival uint64 // counts up

	left    bool // its caller hung up before the answer was written in full
	dedup   bool
	body    bool
	resend  bool        // a leader that is a recognised re-send: its answer leaves no mark
	stale   bool        // another change touched its subject between its two ends
	unknown bool        // it changes something that nobody can name
	outcome OutcomeKind // once answered

	// While the call is packed:
	kind    unique.Handle[answerKind]
	text    string   // the answer's body
	watches [2]watch // all or none
}

// answerKind is what an answer has in common with most others.
type answerKind struct {
	status            int
	contentType, auth string
}

// caller is whose call one was. The calls of one client share it: never change it.
type caller struct {
	group, app string
	token      Token
	lineage    Token // of the token, when the call was answered
	addr       netip.Addr
	in         *app // which lists the call's mark; nil: none does
}

// prefix is the beginning of a key: a map by whole keys would take twice as much.
type prefix uint64

func (k Key) prefix() prefix { return prefix(binary.BigEndian.Uint64(k[:])) }

func (e *entry) packed() bool { return e.mark.owner == nil }

// pack packs h if it is one call that is over and owes nothing to anybody.
func (m *Machine) pack(h *history) {
	c := h.only()
	if c == nil || c.leader != nil || len(c.lost) > 0 || c.orphan != nil || m.packed[h.key.prefix()] != nil {
		return
	}
	if !c.body || !c.recorded() || c.stale { // no plain match looks at what it watches
		m.release(c)
	}
	m.releaseUncounted(c)
	e := c.entry
	if len(c.watches) > len(e.watches) {
		return
	}
	copy(e.watches[:], c.watches)
	if c.recorded() {
		e.kind = m.kindOf(c.answer)
		e.text = string(c.answer.Body)
	}
	if e.mark.by == nil {
		e.mark.by = m.callerOf(c)
	}
	e.mark.owner = nil
	delete(m.histories, h.key)
	h.leaders, h.unspent, h.spent = nil, nil, nil // calls that were in it may still lead to it
	m.packed[e.key.prefix()] = e
	m.stats.Bytes -= callBytes
}

// only returns the only call of h, nil while there are others or any is in flight.
func (h *history) only() *call {
	if h.open > 0 || len(h.leaders) > 1 || len(h.unspent)+len(h.spent) > 1 {
		return nil
	}
	var c *call
	for _, mk := range [...][]*mark{h.unspent, h.spent} {
		if len(mk) > 0 {
			c = mk[0].owner
		}
	}
	if len(h.leaders) > 0 {
		if c != nil && c != h.leaders[0] {
			return nil
		}
		c = h.leaders[0]
	}
	return c
}

// unpack undoes pack.
func (m *Machine) unpack(e *entry) *history {
	by := e.mark.by
	h := newHistory(e.key)
	c := &call{entry: e, phase: answered, history: h, group: by.group, app: by.app, token: by.token, addr: by.addr}
	if e.outcome == Kept {
		kind := e.kind.Value()
		c.answer = &Answer{Status: kind.status, ContentType: kind.contentType, Auth: kind.auth, Body: []byte(e.text)}
		e.text = ""
		if c.dedup {
			h.leaders = append(h.leaders, c)
		}
	}
	for i, w := range e.watches {
		if w.subject != nil {
			c.watches = append(c.first[:i], w)
		}
	}
	e.watches = [2]watch{}
	e.mark.owner = c
	switch {
	case !e.mark.set:
	case e.mark.spent:
		h.spent = append(h.spent, &e.mark)
	default:
		h.unspent = append(h.unspent, &e.mark)
	}
	delete(m.packed, e.key.prefix())
	m.histories[e.key] = h
	m.stats.Bytes += callBytes
	return h
}

// dropPacked forgets a packed call.
func (m *Machine) dropPacked(e *entry) {
	for _, w := range e.watches {
		if w.subject != nil {
			m.unwatch(e.mark.by.group, w.subject)
		}
	}
	if e.mark.set && !e.mark.spent {
		e.mark.unlist()
	}
	delete(m.packed, e.key.prefix())
}

// kindOf returns a's kind: the last one, if it is the same.
func (m *Machine) kindOf(a *Answer) unique.Handle[answerKind] {
	if is := (answerKind{a.Status, a.ContentType, a.Auth}); m.lastKind == (unique.Handle[answerKind]{}) || is != m.lastKind.Value() {
		m.lastKind = unique.Make(is)
	}
	return m.lastKind
}

// callerOf returns whose call c is: the one that the token's last call had, if
// it is the same.
func (m *Machine) callerOf(c *call) *caller {
	by := caller{group: c.group, app: c.app, token: c.token, lineage: c.token, addr: c.addr, in: m.apps[appKey{c.group, c.app}]}
	last := &m.nobody
	if l := m.logins[c.token]; l != nil {
		by.lineage = l.lineage
		last = &l.caller
	}
	if *last == nil || **last != by {
		*last = new(caller)
		**last = by
	}
	return *last
}
