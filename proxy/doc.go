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
// Clients are spoken to in HTTP/1.1 only: HTTP/2 lowercases header names, and one of
// them needs its exact case (openapi.AuthHeader).
//
// Here are the chain (chain.go), the snapshot that is in force, and what the admin
// listener sees. The rooms below are, from the outside in: listen takes connections;
// link has the links of the chain, replay the shell round the dedup rules, forward
// what sends; all three work on an exchange, which is one request and its answer;
// routing has the settings, compiled; body holds bodies, and upstream speaks to servers.
//
// Where to look: exchange/answer.go and exchange/headercase write the header,
// exchange/wanted.go and replay/overlaps.go say what a hang-up ends, and package
// rules/openapi lists the calls. upstream/conversation applies an upstream's timeout up to
// the answer's header; replay/leader.go, forward/translate.go and link/bridge.go set it for
// the whole answer.
package proxy
