package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
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

// Admin returns the handler of the admin listener. It must not be reachable
// for clients: it tells the inside.
//
//	/metrics      what gatherer has; 404 with a nil gatherer
//	/healthz      200 while the process serves; says nothing about upstreams
//	/readyz       200, or 503 while no upstream group is ready (with ReadyAll: one
//	              is not), or the shim drains; ?group=NAME asks for that group alone
//	/status       JSON for people
//	/debug/pprof  only if pprofOn
func (p *Proxy) Admin(gatherer prometheus.Gatherer, pprofOn bool) http.Handler {
	mux := http.NewServeMux()
	if gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", p.readyz)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		snap := p.snap.Load()
		upstreams, need := p.withFindings(r.Context(), withLacks(p.reach.probe(r.Context(), snap), snap), snap)
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
	if pprofOn {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
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
	plain(w, code, lines...)
}

func plain(w http.ResponseWriter, code int, lines ...string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n") // the asker is gone if this fails
}
