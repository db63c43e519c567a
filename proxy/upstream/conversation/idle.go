package conversation

import (
	"net/netip"
	"slices"
	"time"

	"powerjob-shim/proxy/upstream/connect"
)

// take returns a kept connection to the server that can be used for a request; nil: there
// is none.
func (p *Pool) take(server string) *conn {
	for {
		p.mu.Lock()
		list := p.idle[server]
		if len(list) == 0 {
			p.mu.Unlock()
			return nil
		}
		c := list[len(list)-1] // the newest, so that unneeded ones get old and are closed
		list[len(list)-1] = nil
		p.idle[server] = list[:len(list)-1]
		p.mu.Unlock()
		if time.Since(c.idleSince) < p.idleTimeout() && c.quiet() {
			return c
		}
		_ = c.Close() // nothing is left to be said
	}
}

// put keeps a connection for the next request.
func (p *Pool) put(c *conn) {
	p.mu.Lock()
	keep := len(p.idle[c.server]) < maxIdle
	if keep {
		if p.idle == nil {
			p.idle = map[string][]*conn{}
		}
		c.idleSince = time.Now()
		p.idle[c.server] = append(p.idle[c.server], c)
		if p.sweeper == nil {
			p.sweeper = time.AfterFunc(p.idleTimeout(), p.sweep)
		}
	}
	p.mu.Unlock()
	if !keep {
		_ = c.Close() // it would be one too many
	}
}

// sweep closes connections that have been idle for too long, and schedules itself for
// when the next one is due.
func (p *Pool) sweep() {
	now, limit := time.Now(), p.idleTimeout()
	next := time.Duration(-1)
	var old []*conn
	p.mu.Lock()
	for key, list := range p.idle {
		n := 0
		for n < len(list) && now.Sub(list[n].idleSince) >= limit {
			n++
		}
		old = append(old, list[:n]...)
		if list = slices.Delete(list, 0, n); len(list) == 0 {
			delete(p.idle, key)
			continue
		}
		p.idle[key] = list
		if due := limit - now.Sub(list[0].idleSince); next < 0 || due < next {
			next = due
		}
	}
	if p.sweeper = nil; next >= 0 {
		p.sweeper = time.AfterFunc(next, p.sweep)
	}
	p.mu.Unlock()
	for _, c := range old {
		_ = c.Close() // nobody uses it
	}
}

// CloseIdle closes unused connections. Connections in use are still kept when their
// calls end.
func (p *Pool) CloseIdle() { p.closeIdle(func(*conn) bool { return true }) }

// Retire closes unused connections to a server whose remote addresses are not among
// named, the addresses that its name has now.
func (p *Pool) Retire(server string, named []netip.Addr) {
	p.closeIdle(func(c *conn) bool {
		return c.server == server && !slices.Contains(named, connect.AddressOf(c.Conn).Addr())
	})
}

func (p *Pool) closeIdle(stale func(*conn) bool) {
	var old []*conn
	p.mu.Lock()
	for key, list := range p.idle {
		list = slices.DeleteFunc(list, func(c *conn) bool {
			if stale(c) {
				old = append(old, c)
				return true
			}
			return false
		})
		if p.idle[key] = list; len(list) == 0 {
			delete(p.idle, key)
		}
	}
	if len(p.idle) == 0 && p.sweeper != nil {
		p.sweeper.Stop()
		p.sweeper = nil
	}
	p.mu.Unlock()
	for _, c := range old {
		_ = c.Close() // nobody uses it
	}
}
