package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"powerjob-shim/proxy/admin/recent"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options say what the admin listener serves and to whom.
type Options struct {
	View   func() View   // returns the current view; must be set
	Recent *recent.Calls // for the status page; must be set

	Gatherer prometheus.Gatherer // for /metrics; nil: no /metrics
	Pprof    bool                // serve /debug/pprof/
	// TokenFile is the file with the token that every path except /healthz and /readyz
	// asks for. "": no token is needed.
	TokenFile string
	// Local says that only this machine reaches the listener (see IsLocal). False: the
	// status page is served only if there is a TokenFile.
	Local bool
}

// Status is what /status answers.
type Status struct {
	Version       string    `json:"version"`
	Configuration string    `json:"configuration"` // its hash
	Observing     bool      `json:"observing"`     // mode: observe
	Started       time.Time `json:"started"`
	UptimeSeconds float64   `json:"uptime_seconds"`
	Draining      bool      `json:"draining"`
	InFlight      int64     `json:"in_flight"`
	Upstreams     []Group   `json:"upstreams"`
	Needed        *Need     `json:"needed,omitempty"`
	Dedup         Dedup     `json:"dedup"`
}

// handler answers for one admin listener.
type handler struct {
	view  func() View
	reach reachability
}

// Handler returns the handler of the admin listener. PowerJob's clients must not be able
// to reach it: it shows what goes on inside the shim.
//
//	/             the status page
//	/metrics      the metrics of Gatherer; 404 without one
//	/healthz      200 while the process serves; says nothing about upstreams
//	/readyz       200, or 503 while no upstream group is ready (with ReadyAll: one
//	              is not), or the shim drains; ?group=NAME asks for that group alone
//	/status       JSON for people
//	/debug/pprof  only with Pprof
func Handler(o Options) http.Handler {
	h := &handler{view: o.View}
	mux := http.NewServeMux()
	if o.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	}
	page := Page(o.Recent, h.pageState)
	switch {
	case o.TokenFile != "":
	case o.Local:
		page = ownName(page)
	default:
		page = http.HandlerFunc(noPage)
	}
	mux.Handle("GET /{$}", page)
	mux.HandleFunc("GET /status", h.status)
	if o.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	open := http.NewServeMux()
	open.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	open.HandleFunc("GET /readyz", h.readyz)
	open.Handle("/", Guard(mux, o.TokenFile))
	return open
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	v := h.view()
	groups, need := v.Complete(r.Context(), h.reach.look(r.Context(), v))
	about := v.About()
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(Status{ // if this fails, the client is gone
		Version:       about.Version,
		Configuration: about.Hash,
		Observing:     about.Observing,
		Started:       about.Started.UTC().Truncate(time.Second),
		UptimeSeconds: time.Since(about.Started).Truncate(time.Second).Seconds(),
		Draining:      about.Draining,
		InFlight:      about.InFlight,
		Upstreams:     groups,
		Needed:        need,
		Dedup:         about.Dedup,
	})
}

// pageState returns what the status page shows besides the content of Recent.
func (h *handler) pageState(ctx context.Context) State {
	v := h.view()
	s := State{About: v.About()}
	var need *Need
	s.Groups, need = v.Complete(ctx, h.reach.look(ctx, v))
	s.NotNeeded = need != nil && !need.Header
	return s
}

func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	v := h.view()
	if query := r.URL.Query(); query.Has("group") {
		code, lines := h.reach.groupReadiness(r.Context(), v, query.Get("group"))
		plain(w, code, lines...)
		return
	}
	code, lines := h.reach.readiness(r.Context(), v)
	plain(w, code, lines...)
}

// plain answers with lines as text.
func plain(w http.ResponseWriter, code int, lines ...string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n") // if this fails, the client is gone
}
