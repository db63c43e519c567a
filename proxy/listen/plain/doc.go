// Package plain serves callers: plain calls by itself, everything else by
// net/http's server.
//
//	server := &plain.Server{HTTP: &http.Server{Handler: h}, Plain: isCall}
//	err := server.Serve(ln)
//
// A connection belongs to one goroutine as long as its requests are plain (see
// [Server.Plain] and [head.ReadPlain]). Each becomes what [http.ReadRequest] makes of it,
// and goes to the same handler as all requests, with a ResponseWriter of this
// package. The first request that is not plain takes the whole connection to
// net/http's server, with the bytes that were looked at, and there it stays. So
// nothing is decided twice, and what is odd is judged by net/http.
//
// Here no second goroutine watches whether the caller hangs up: he is asked (see
// [CallerOf], and docs/architecture.md for when). So the context of a request does not
// end when its caller hangs up, but with the context of the server.
package plain
