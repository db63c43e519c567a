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

// Listeners says where to listen.
type Listeners struct {
	Clients []listen.Listener
	Admin   string // host:port; "" : no admin listener

	// Challenge answers what a certificate authority asks on plain listeners
	// to see who holds a name (RFC 8555, 8.3), and reports whether it did.
	// nil: every request goes upstream.
	Challenge func(http.ResponseWriter, *http.Request) bool

	// AdminTokenFile holds the token that the admin listener asks for, but for
	// /healthz and /readyz. "": it asks for none, and, unless Admin is a loopback
	// address, shows neither the status page nor lists of calls and clients.
	AdminTokenFile string

	Gatherer prometheus.Gatherer // for /metrics; nil: none
	Pprof    bool
}

// Listen opens all listeners and serves none of them yet. On an error it
// leaves none open.
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

// lifecycle is what listeners know of a Proxy.
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

// Close implements listen.Lifecycle: it closes the groups' idle connections, and
// waits for what they do on their own.
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
