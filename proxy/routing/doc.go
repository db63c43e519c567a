// Package routing holds the settings of a proxy, compiled: which group of servers a
// request goes to, and what holds for it.
//
//	snap, err := routing.Compile(settings, nil, process, upstream.Options{})
//	snap.Start(life, &running, nil)
//	route, byPath := snap.RouteFor(destination)
//
// A Snapshot never changes. A request takes one and keeps it to its end; a reload
// compiles the next one, which takes over the groups that have not changed, and
// retires the old.
package routing
