package proxy

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"powerjob-shim/proxy/admin"
	"powerjob-shim/proxy/exchange"
	"powerjob-shim/proxy/listen"
	"powerjob-shim/proxy/routing"
	"powerjob-shim/rules/access"
)

// Listeners says where to listen, and what the admin listener serves.
type Listeners struct {
	Clients []listen.Listener
	Admin   string // host:port; "": no admin listener

	// Challenge answers the HTTP challenges by which a certificate authority checks who
	// controls a name (RFC 8555, 8.3), on plain listeners. It returns false, and does
	// nothing, for other requests. nil: every request goes upstream.
	Challenge func(http.ResponseWriter, *http.Request) bool

	// AdminTokenFile is the file with the token that the admin listener asks for,
	// except for /healthz and /readyz. "": it asks for none. Then, unless Admin is a
	// loopback address, it does not serve the status page, which lists calls and
	// clients.
	AdminTokenFile string

	Gatherer prometheus.Gatherer // for /metrics; nil: no /metrics
	Pprof    bool                // serve /debug/pprof/
}

// Listen opens all listeners, but does not serve them yet. On an error, none stays open.
func (p *Proxy) Listen(l Listeners) (*listen.Server, error) {
	errorLog, err := zap.NewStdLogAt(p.log, zap.WarnLevel)
	if err != nil {
		return nil, fmt.Errorf("making the servers' log: %w", err)
	}
	inside := p.Admin(admin.Options{Gatherer: l.Gatherer, Pprof: l.Pprof, TokenFile: l.AdminTokenFile, Local: admin.IsLocal(l.Admin)})
	return listen.Open(listen.Config{
		Handler: p, Life: lifecycle{p}, Logger: p.log, ErrorLog: errorLog,
		Clients: l.Clients, Plain: p.plainCalls(), Watch: p.store.Status().Kind != "memory", Challenge: l.Challenge,
		AdminAddress: l.Admin, Admin: admin.NewServer(inside, errorLog),
	})
}

// lifecycle implements listen.Lifecycle for a Proxy.
type lifecycle struct{ *Proxy }

// Life implements listen.Lifecycle.
func (l lifecycle) Life() context.Context { return l.life }

// Drain implements listen.Lifecycle: from now on /readyz fails.
func (l lifecycle) Drain() (delay, grace time.Duration) {
	l.draining.Store(true)
	how := l.snap.Load().Shutdown
	return how.Delay, how.Grace
}

// InFlight implements listen.Lifecycle.
func (l lifecycle) InFlight() int64 { return l.active.Load() }

// End implements listen.Lifecycle.
func (l lifecycle) End() { l.end(exchange.ErrStopping) }

// Close implements listen.Lifecycle: it closes the groups' idle connections, and waits
// for their background work to end.
func (l lifecycle) Close() {
	l.retire()
	l.running.Wait()
}

// Trusts implements listen.Lifecycle.
func (l lifecycle) Trusts(proxy netip.Addr) bool {
	return access.Within(l.snap.Load().TrustedProxies, proxy)
}

// retire closes the idle connections of the current groups.
func (p *Proxy) retire() { p.snap.Load().Retire(&routing.Snapshot{}) }
