package dedup

import (
	"net/netip"
	"slices"
)

// evidence looks for a mark that c is the re-send of and a login that pays for
// it. r is the login that issued c's token, nil if unknown.
//
// The newest mark first: of several equal calls the last one answered is the
// one whose client logged in last.
func (m *Machine) evidence(c *call, r *login) (*mark, *login) {
	if r == nil || !r.refresh {
		return nil, nil
	}
	for _, mk := range slices.Backward(c.history.unspent) {
		if !mk.at.Before(r.requested) || !m.together(r.app, mk.owner.addr, r.addr, c.addr) {
			continue
		}
		if r.open {
			return mk, r
		}
		if mk.lineage != r.lineage {
			continue
		}
		if pays := m.overwritten(r, c.addr); pays != nil {
			return mk, pays
		}
		return nil, nil
	}
	return nil, nil
}

// overwritten finds an open login of r's app, not later than r: its thread's
// token was overwritten in the shared field by r's.
func (m *Machine) overwritten(r *login, addr netip.Addr) *login {
	for _, l := range slices.Backward(r.app.open) {
		if l != r && !l.requested.After(r.requested) && m.together(r.app, l.addr, r.addr, addr) {
			return l
		}
	}
	return nil
}

// together reports whether three addresses may be one client's.
func (m *Machine) together(a *app, x, y, z netip.Addr) bool {
	if a.mixed || !x.IsValid() || !y.IsValid() || !z.IsValid() {
		return true
	}
	return x == y && y == z
}

// spend uses up a mark and the login that pays for it.
func (m *Machine) spend(c *call, r *login, mk *mark, pays *login) {
	c.spentMark, c.spentLogin = mk, pays
	mk.spend()
	if pays == r {
		r.lineage = mk.lineage
	}
	pays.pay()
}

// orphaned reports whether r is open although every mark that its login can
// have come from is spent: another thread took the answer that was meant here.
func (h *history) orphaned(r *login) bool {
	if r == nil || !r.refresh || !r.open {
		return false
	}
	return slices.ContainsFunc(h.spent, func(mk *mark) bool { return mk.at.Before(r.requested) })
}

// overtaker finds an orphan's answer for c: a call that took over the login of
// another thread, whose own re-send this is.
func (m *Machine) overtaker(c *call, r *login) *call {
	if r == nil || !r.refresh {
		return nil
	}
	for _, leader := range slices.Backward(c.history.leaders) {
		o := leader.orphan
		if o == nil || !o.open || o == r || o.app != r.app || !m.together(r.app, leader.addr, o.addr, c.addr) {
			continue
		}
		if leader.phase == leading || leader.recorded() && m.mayHave(c, leader) {
			return leader
		}
	}
	return nil
}
