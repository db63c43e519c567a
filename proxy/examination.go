package proxy

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"powerjob-shim/internal/address"
	"powerjob-shim/internal/doctor"
	"powerjob-shim/proxy/admin"
	"powerjob-shim/proxy/routing"
	up "powerjob-shim/proxy/upstream"
)

const (
	// examineEvery is how long a finding is reused: each examination writes six
	// lines to a server's log.
	examineEvery = time.Minute
	// examineWithin is how long /status waits for a first finding.
	examineWithin = 500 * time.Millisecond
)

// examinations has what doctor says of the shim's own servers, for /status. A
// server is examined when somebody asks and the last finding is old. The zero
// value has none; safe for concurrent use.
type examinations struct {
	mu sync.Mutex
	of map[*up.Server]*examination // guarded by mu
}

// examination is one server's.
type examination struct {
	began   time.Time
	done    chan struct{} // closed when finding is there
	finding doctor.Finding
	last    *doctor.Finding // the one before, told meanwhile; nil: none
}

// addFindings adds to groups what doctor says of each server that takes connections,
// and returns what all that comes to; nil: it is not known of all servers.
func (p *Proxy) addFindings(ctx context.Context, groups []admin.Group, snap *routing.Snapshot) *admin.Need {
	if !p.probing {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	current := p.examinations.begin(p, snap)
	var all []doctor.Finding
	known := true
	for i, g := range groups {
		for j, state := range g.Servers {
			finding := current[snap.Groups[g.Name].Upstream.Server(state.Server)].wait(waiting)
			groups[i].Servers[j].Doctor = finding
			if finding == nil {
				known = false
				continue
			}
			all = append(all, *finding)
		}
	}
	if !known || len(all) == 0 {
		return nil
	}
	return needOf(all)
}

func needOf(findings []doctor.Finding) *admin.Need {
	r := doctor.NewReport(findings)
	if !r.Needed {
		return &admin.Need{Summary: "no longer needed: all servers send the header themselves"}
	}
	return &admin.Need{Header: true, Summary: "needed: not every server sends the header itself, in exact case"}
}

// begin examines each server of snap whose finding is old, and returns the
// examination of each. Those of servers that are gone are forgotten.
func (es *examinations) begin(p *Proxy, snap *routing.Snapshot) map[*up.Server]*examination {
	es.mu.Lock()
	defer es.mu.Unlock()
	if p.life.Err() != nil { // nothing new begins
		return es.of
	}
	next := make(map[*up.Server]*examination)
	for _, g := range snap.Groups {
		for _, s := range g.Upstream.Servers {
			e := es.of[s]
			if e == nil || e.over() && time.Since(e.began) > examineEvery {
				e = &examination{began: time.Now(), done: make(chan struct{}), last: e.told()}
				p.running.Go(func() {
					defer close(e.done)
					e.finding = doctor.Examine(p.life, targetOf(g, s))
				})
			}
			next[s] = e
		}
	}
	es.of = next
	return next
}

// targetOf is how a group's server is examined: as calls are sent to it.
func targetOf(g *routing.Group, s *up.Server) doctor.Target {
	prefix := strings.TrimSuffix(g.Settings.Prefix(), "/openApi")
	return doctor.Target{
		Server:  address.Server{URL: &url.URL{Scheme: s.URL.Scheme, Host: s.URL.Host, Path: prefix}, Address: s.Name, Prefix: prefix},
		Host:    g.Upstream.AskedHost(s),
		Connect: func(ctx context.Context) (net.Conn, error) { return g.Upstream.Dial(ctx, s) },
		Own:     true,
	}
}

func (e *examination) over() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// told returns what is known of a server now; nil: nothing. e may be nil.
func (e *examination) told() *doctor.Finding {
	switch {
	case e == nil:
		return nil
	case e.over():
		return &e.finding
	}
	return e.last
}

// wait returns what is known of a server. If nothing is known yet, it waits for the
// first finding or the end of ctx. e may be nil.
func (e *examination) wait(ctx context.Context) *doctor.Finding {
	if e != nil && e.last == nil {
		select {
		case <-e.done:
		case <-ctx.Done():
		}
	}
	return e.told()
}
