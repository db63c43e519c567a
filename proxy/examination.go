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
	// examineEvery is how long a finding is reused. Not less, because each examination
	// makes a server write six lines to its log.
	examineEvery = time.Minute
	// examineWithin is how long /status waits for a first finding.
	examineWithin = 500 * time.Millisecond
)

// examinations holds doctor's findings about the shim's own servers, for /status. A
// server is examined when somebody asks and its last finding is old. The zero value has
// no findings; safe for concurrent use.
type examinations struct {
	mu sync.Mutex
	of map[*up.Server]*examination // guarded by mu
}

// examination is one examination of one server.
type examination struct {
	began   time.Time
	done    chan struct{}   // closed when finding is set
	finding doctor.Finding  // not to be read before done is closed
	last    *doctor.Finding // the previous finding, used until done; nil: none
}

// addFindings adds doctor's finding about each server to groups, and returns what follows
// from all of them; nil: not all servers have one yet, or the shim does not probe.
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

// needOf returns whether findings, one for each server, mean that the shim is needed.
func needOf(findings []doctor.Finding) *admin.Need {
	r := doctor.NewReport(findings)
	if !r.Needed {
		return &admin.Need{Summary: "no longer needed: all servers send the header themselves"}
	}
	return &admin.Need{Header: true, Summary: "needed: not every server sends the header itself, in exact case"}
}

// begin starts to examine each server of snap whose finding is old, and returns the
// latest examination of each server. It forgets those of servers that snap does not have.
func (es *examinations) begin(p *Proxy, snap *routing.Snapshot) map[*up.Server]*examination {
	es.mu.Lock()
	defer es.mu.Unlock()
	if p.life.Err() != nil { // no new examination may start
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

// targetOf returns how to examine a group's server: in the same way as calls are sent to
// it.
func targetOf(g *routing.Group, s *up.Server) doctor.Target {
	prefix := strings.TrimSuffix(g.Settings.Prefix(), "/openApi")
	return doctor.Target{
		Server:  address.Server{URL: &url.URL{Scheme: s.URL.Scheme, Host: s.URL.Host, Path: prefix}, Address: s.Name, Prefix: prefix},
		Host:    g.Upstream.AskedHost(s),
		Connect: func(ctx context.Context) (net.Conn, error) { return g.Upstream.Dial(ctx, s) },
		Own:     true,
	}
}

// over reports whether finding is set.
func (e *examination) over() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// told returns the latest finding; nil: there is none yet. e may be nil.
func (e *examination) told() *doctor.Finding {
	switch {
	case e == nil:
		return nil
	case e.over():
		return &e.finding
	}
	return e.last
}

// wait returns the latest finding. If there is none yet, it first waits for one, or for
// the end of ctx. e may be nil.
func (e *examination) wait(ctx context.Context) *doctor.Finding {
	if e != nil && e.last == nil {
		select {
		case <-e.done:
		case <-ctx.Done():
		}
	}
	return e.told()
}
