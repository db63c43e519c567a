package proxy

import "powerjob-shim/proxy/routing"

// The settings of package routing, so that users of a Proxy need to import only this
// package.
type (
	// Settings are what a reload may change.
	Settings = routing.Settings
	// Upstream is a group of servers that hold the same data.
	Upstream = routing.Upstream
	// Policy is the part of Settings that a group can override.
	Policy = routing.Policy
	// Route sends requests to an upstream.
	Route = routing.Route
	// Shutdown says how long the Proxy takes to stop.
	Shutdown = routing.Shutdown
	// DedupSettings are the settings of deduplication.
	DedupSettings = routing.DedupSettings
	// Compat says how calls of clients that are newer than their server are translated.
	Compat = routing.Compat
)

// The values of Compat.
const (
	CompatAuto  = routing.CompatAuto
	CompatOff   = routing.CompatOff
	CompatLossy = routing.CompatLossy
)
