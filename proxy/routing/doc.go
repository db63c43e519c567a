// Package routing compiles the settings of a proxy. The result says which group of
// servers a request goes to, and which settings apply to it.
//
//	snap, err := routing.Compile(settings, nil, process, upstream.Options{})
//	snap.Start(life, &running, nil)
//	route, byPath := snap.RouteFor(destination)
//
// A Snapshot never changes. A request takes the current one and keeps it to its end. A
// reload compiles the next one, which takes over the groups whose settings are the same,
// and then retires the old one.
package routing
