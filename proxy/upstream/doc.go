// Package upstream connects to servers, and has conversations with them.
//
//	d := new(upstream.Dialer) // one for the whole process: it remembers addresses
//	s := upstream.NewServer("powerjob.example.com:7700", nil, d)
//	conn, err := s.Dial(ctx)
//
// The connection is a [*Watched], or a *tls.Conn whose NetConn is one: it knows
// what was written to it, and refuses to write a request to a server that has
// gone. An error is a [*DialError], which names each address and why, or it tells
// which TLS file cannot be read.
//
// A request whose body is in memory has a conversation of its own, on a
// connection that is kept:
//
//	pool := &upstream.Pool{Connect: connect, IdleTimeout: 15 * time.Second}
//	res, err := pool.RoundTrip(request)
//
// net/http's Transport does the same with two goroutines for each connection. It
// cannot tell whether a byte of a request was sent, and it learns that a server
// has gone when a goroutine gets its turn. Here one goroutine, the caller's,
// writes the request in one piece and reads the answer with [http.ReadResponse].
// So three things are known exactly:
//
//   - whether a byte of the request may have reached the server ([Error.Sent]),
//   - whether the connection is quiet when a request is about to be written,
//   - whether an answer was read to its exact end. Otherwise, its connection is
//     not used again.
//
// What waits for a server can be ended: see [Call.Watch]. There are no upgrades,
// and everything that is streamed goes through net/http's Transport.
package upstream
