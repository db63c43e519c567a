// Package plain serves callers' connections: plain calls itself, everything else
// through net/http's server.
//
//	server := &plain.Server{HTTP: &http.Server{Handler: h}, Plain: isCall}
//	err := server.Serve(ln)
//
// A connection belongs to one goroutine as long as its requests are plain (see
// [Server.Plain] and [head.ReadPlain]). Each plain request becomes the same
// [http.Request] that [http.ReadRequest] would make, and goes to the same handler as
// all requests, with a ResponseWriter of this package. The first request that is not
// plain moves the whole connection to net/http's server, together with the bytes that
// were read, and it stays there. So no request is parsed twice, and net/http decides
// about everything unusual.
//
// No second goroutine watches for a hang-up. The caller's connection is polled instead
// (see [CallerOf], and docs/architecture.md for when). So a plain request's context
// ends with the context of the server, not when its caller hangs up.
package plain
