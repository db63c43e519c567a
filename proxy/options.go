package proxy

import (
	"go.uber.org/zap"

	"powerjob-shim/internal/store"
	"powerjob-shim/metrics"
	"powerjob-shim/proxy/upstream/connect"
	"powerjob-shim/rules/access"
)

// Options are what a Proxy is given once, for its whole life.
type Options struct {
	Logger  *zap.Logger      // nil: nothing is logged
	Metrics *metrics.Metrics // nil: counted, but not collected by anyone

	// Store remembers calls. Nil: one in memory, with Settings.Dedup.Limits. It
	// outlives every reload; whoever made it closes it after the Proxy's end.
	Store store.Store
	// Tokens are where the gate looks for tokens that it does not know. Nil:
	// nowhere, so that each replica wants a login of its own.
	Tokens access.SharedTokens

	// Probe has each server asked whether it is a PowerJob server, at the start
	// and until it is ready. Else /readyz only connects.
	Probe bool

	// Dialer connects to servers. Nil: the system's resolver and network.
	Dialer *connect.Dialer

	// Version is told by /status.
	Version string

	// Ready decides /readyz in place of the servers, until the shim drains: for a
	// proxy whose groups belong to many owners. It returns why the proxy is not
	// ready, or nil if it is, and is called by several goroutines at once. Nil: a
	// server must be reachable.
	Ready func() error
}
