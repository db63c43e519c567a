package proxy

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strconv"
	"strings"

	"powerjob-shim/proxy/admin"
	up "powerjob-shim/proxy/upstream"
	"powerjob-shim/rules/dedup"
	"powerjob-shim/rules/openapi"
)

// noteDrop keeps a call that was not sent, or would not have been, for the
// status page.
func (p *Proxy) noteDrop(ex *exchange, call *dedup.Call) {
	if ex.match.Dedup == nil {
		return
	}
	p.recent.Dropped(admin.Drop{
		At: ex.received, Call: ex.callName(), App: call.App, Subject: subjectOf(call.Subjects), Decision: ex.decided, Reason: ex.reason,
		After: p.recent.After(ex.received, call.Key), Client: ex.client,
	})
}

var subjectWords = [...]string{openapi.Job: "job", openapi.Instance: "instance", openapi.Workflow: "workflow",
	openapi.WorkflowInstance: "workflow instance", openapi.WorkflowNode: "workflow node"}

// subjectOf says what a call changes: "job 3".
func subjectOf(s openapi.Subjects) string {
	if len(s.Known) == 0 {
		return ""
	}
	text := subjectWords[s.Known[0].Kind] + " " + strconv.FormatInt(s.Known[0].ID, 10)
	if more := len(s.Known) - 1; more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text
}

// pageState is what the status page shows of the proxy.
func (p *Proxy) pageState(ctx context.Context) admin.State {
	snap, store := p.snap.Load(), p.dedupState.store
	told := store.Status()
	s := admin.State{
		Version: p.version, GoVersion: runtime.Version(), Started: p.started,
		Draining: p.draining.Load(), Observing: snap.Observing, InFlight: p.active.Load(),
		Hash: snap.Hash, Configuration: snap.Configuration,
		Store: told.Kind, Problems: told.Problems, Entries: store.Stats().Entries,
	}
	groups, need := p.upstreamStates(ctx, snap)
	s.NotNeeded = need != nil && !need.Header
	for _, g := range groups {
		group := admin.Group{Name: g.Name, Routes: snap.routesTo(g.Name)}
		for _, server := range g.Servers {
			shown := admin.Server{
				Address: server.Server, State: server.State, Healthy: server.State == up.StandingUp.String(), Reachable: server.Reachable,
				Problem: server.Problem, Advice: server.Advice, Lacks: server.Lacks, InFlight: server.InFlight,
			}
			if f := server.Doctor; f != nil {
				shown.Verdict, shown.Summary = string(f.Verdict), f.Summary
			}
			group.Servers = append(group.Servers, shown)
		}
		s.Groups = append(s.Groups, group)
	}
	return s
}

// routesTo returns the routes to a group, as "host/path" or "/path".
func (s *snapshot) routesTo(group string) []string {
	var all []string
	for _, r := range s.Routes {
		if r.Upstream != group {
			continue
		}
		hosts, paths := r.Hosts, r.Paths
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		if len(paths) == 0 {
			paths = []string{"/*"}
		}
		for _, h := range hosts {
			for _, path := range paths {
				all = append(all, h+path)
			}
		}
	}
	return all
}

// loopbackOnly reports whether an address to listen on is this machine's own.
func loopbackOnly(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// ownName lets only requests through whose Host is an address or localhost: a
// page of some web site whose name was pointed at this machine gets nothing.
func ownName(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && host != "localhost" {
			http.Error(w, "ask by address, or as localhost; for other names set admin.token_file", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// noPage stands where the page would show calls and clients to everyone.
func noPage(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "the status page shows calls, clients and the configuration: it is served on a loopback address (admin.address), or to those who send the token of admin.token_file", http.StatusForbidden)
}
