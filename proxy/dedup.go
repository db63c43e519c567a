package proxy

import "net/http"

// DedupSettings are the settings of the dedup middleware.
type DedupSettings struct{}

// dedupState is what the dedup middleware keeps for the life of the Proxy.
type dedupState struct{}

// dedup passes everything on.
func (p *Proxy) dedup(next http.Handler) http.Handler { return next }

// dedupStatus is what /status tells under "dedup"; nil: nothing.
func (p *Proxy) dedupStatus() any { return nil }
