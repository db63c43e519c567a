package proxy

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"powerjob-shim/proxy/admin"
)

// status is what /status answers.
type status struct {
	Version       string       `json:"version"`
	Configuration string       `json:"configuration"` // its hash
	Observing     bool         `json:"observing"`     // mode: observe
	Started       time.Time    `json:"started"`
	UptimeSeconds float64      `json:"uptime_seconds"`
	Draining      bool         `json:"draining"`
	InFlight      int64        `json:"in_flight"`
	Upstreams     []groupState `json:"upstreams"`
	Needed        *shimNeed    `json:"needed,omitempty"`
	Dedup         any          `json:"dedup,omitempty"`
}

// AdminOptions say what the admin listener serves, and to whom.
type AdminOptions struct {
	Gatherer prometheus.Gatherer // for /metrics; nil: none
	Pprof    bool
	// TokenFile holds the token that all but /healthz and /readyz ask for; "":
	// they ask for none.
	TokenFile string
	// Local says that only this machine reaches the listener. Where it does not,
	// and there is no TokenFile, the status page is not served.
	Local bool
}

// Admin returns the handler of the admin listener. It must not be reachable
// for clients: it tells the inside.
//
//	/             the status page
//	/metrics      what Gatherer has; 404 without one
//	/healthz      200 while the process serves; says nothing about upstreams
//	/readyz       200, or 503 while no upstream group is ready (with ReadyAll: one
//	              is not), or the shim drains; ?group=NAME asks for that group alone
//	/status       JSON for people
//	/debug/pprof  only with Pprof
func (p *Proxy) Admin(o AdminOptions) http.Handler {
	mux := http.NewServeMux()
	if o.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	}
	page := admin.Page(p.recent, p.pageState)
	switch {
	case o.TokenFile != "":
	case o.Local:
		page = ownName(page)
	default:
		page = http.HandlerFunc(noPage)
	}
	mux.Handle("GET /{$}", page)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		snap := p.snap.Load()
		upstreams, need := p.upstreamStates(r.Context(), snap)
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(status{ // the asker is gone if this fails
			Version:       p.version,
			Configuration: snap.Hash,
			Observing:     snap.Observing,
			Started:       p.started.UTC().Truncate(time.Second),
			UptimeSeconds: time.Since(p.started).Truncate(time.Second).Seconds(),
			Draining:      p.draining.Load(),
			InFlight:      p.active.Load(),
			Upstreams:     upstreams,
			Needed:        need,
			Dedup:         p.dedupStatus(),
		})
	})
	if o.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	open := http.NewServeMux()
	open.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plainText(w, http.StatusOK, "ok") })
	open.HandleFunc("GET /readyz", p.readyz)
	open.Handle("/", admin.Guard(mux, o.TokenFile))
	return open
}

// upstreamStates is what /status and the page tell of the servers, and whether
// the shim is needed; nil: that is not known of all of them.
func (p *Proxy) upstreamStates(ctx context.Context, snap *snapshot) ([]groupState, *shimNeed) {
	return p.withFindings(ctx, withLacks(p.reach.probe(ctx, snap), snap), snap)
}

func (p *Proxy) readyz(w http.ResponseWriter, r *http.Request) {
	var (
		ready bool
		known = true
		lines []string
	)
	if group := r.URL.Query().Get("group"); r.URL.Query().Has("group") {
		ready, known, lines = p.groupReadiness(r.Context(), group)
	} else {
		ready, lines = p.readiness(r.Context())
	}
	code := http.StatusOK
	switch {
	case !known:
		code = http.StatusNotFound
	case !ready:
		code = http.StatusServiceUnavailable
	}
	plainText(w, code, lines...)
}

func plainText(w http.ResponseWriter, code int, lines ...string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n") // the asker is gone if this fails
}
