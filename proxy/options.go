package proxy

import (
	"go.uber.org/zap"

	"powerjob-shim/internal/store"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/access"
)

// Options are set once, for a Proxy's whole life.
type Options struct {
	Logger  *zap.Logger      // nil: nothing is logged
	Metrics *metrics.Metrics // nil: metrics are counted but cannot be collected

	// Store remembers calls. It stays the same across reloads. The Proxy does not close
	// it: its maker does, after the Proxy has ended. Nil: one in memory, with
	// Settings.Dedup.Limits.
	Store store.Store
	// Tokens is where the gate looks for tokens that it does not know. Nil: nowhere,
	// so a client must log in at each replica.
	Tokens access.SharedTokens

	// Probe makes the shim ask each server whether it is a PowerJob server, at the
	// start and until the server is ready. False: /readyz only connects.
	Probe bool

	// Dialer connects to servers. Nil: it uses the system's resolver and network.
	Dialer *connect.Dialer

	// Version is the shim's version, for /status.
	Version string

	// Ready decides on /readyz instead of the servers, until the shim drains. It is for
	// a proxy whose groups belong to many owners. It returns why the proxy is not
	// ready, or nil if it is. Several goroutines call it at once. A nil Ready: the
	// servers decide.
	Ready func() error
}
