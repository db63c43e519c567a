// Package proxy is the HTTP side of powerjob-shim: it accepts requests, carries out what
// package rules decides, and forwards the requests to PowerJob's servers.
//
// The simple way is one Proxy as an http.Handler:
//
//	p, err := proxy.New(proxy.Options{Logger: log, Metrics: m}, settings)
//	http.ListenAndServe(":7700", p)
//
// The full way opens all listeners before any of them serves, and also serves the admin
// listener. When stop ends, it drains; when now ends, it cuts off requests in flight:
//
//	s, err := p.Listen(proxy.Listeners{Clients: []listen.Listener{{Address: ":7700"}}, Admin: "127.0.0.1:9700"})
//	err = s.Serve(stop, now)
//
// Settings are compiled into a snapshot. [Proxy.Swap] replaces it while
// requests are served: each request sees one snapshot from its start to its
// end.
//
// The proxy speaks only HTTP/1.1 with clients: HTTP/2 lowercases header names, and one
// of them needs its exact case (openapi.AuthHeader).
//
// This package has the chain (chain.go), the current snapshot, and what the admin
// listener sees. The packages below it are, from the outside in: listen accepts
// connections; link has the links of the chain, replay applies the dedup rules, and
// forward sends requests. These three work on an exchange, which is one request and its
// answer. routing compiles the settings, body holds bodies, and upstream speaks to
// servers.
//
// Where to look: exchange/answer.go and exchange/headercase write the header,
// exchange/wanted.go and replay/overlaps.go say what ends when a caller hangs up, and
// package rules/openapi lists the calls. upstream/conversation applies an upstream's
// timeout up to the answer's header; replay/leader.go, forward/translate.go and
// link/bridge.go apply it to the whole answer.
package proxy
