// Package proxy is the HTTP side of powerjob-shim: it takes requests, carries
// out what package rules decides, and sends them on to PowerJob's servers.
//
// The simple way is one Proxy as an http.Handler:
//
//	p, err := proxy.New(proxy.Options{Logger: log, Metrics: m}, settings)
//	http.ListenAndServe(":7700", p)
//
// The whole way opens all listeners before any serves, and answers the admin
// requests. It drains when stop ends; when now ends, what is in flight is cut off:
//
//	s, err := p.Listen(proxy.Listeners{Clients: []listen.Listener{{Address: ":7700"}}, Admin: "127.0.0.1:9700"})
//	err = s.Serve(stop, now)
//
// Settings are compiled into a snapshot. [Proxy.Swap] replaces it while
// requests are served: each request sees one snapshot from its start to its
// end.
//
// Clients are spoken to in HTTP/1.1 only: HTTP/2 lowercases header names, and
// PowerJob's client looks for X-POWERJOB-AUTH-PASSED in exact case.
//
// Where to look: chain.go has the order of the links, answer.go writes the header,
// callergone.go says what a hang-up ends, sender.go and dedup_leader.go apply an
// upstream's timeout, and package rules/openapi lists the calls.
package proxy
