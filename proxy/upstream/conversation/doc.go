// Package conversation sends requests to servers, on connections that it keeps.
//
// A request whose body is in memory is a [Call]:
//
//	pool := &conversation.Pool{Connect: connect, IdleTimeout: 15 * time.Second}
//	res, err := pool.Send(conversation.Call{Request: request, Until: until})
//
// net/http's Transport does the same with two goroutines for each connection. It
// cannot tell whether a byte of a request was sent, it notices late that a server has
// gone, and it may take bytes that a server sent unasked for the next request's answer.
// Here nothing reads from an unused connection, and answers are read as
// [http.ReadResponse] reads them. So three things are known exactly:
//
//   - whether a byte of the request may have reached the server ([Error.Sent]),
//   - whether the connection is quiet when a request is about to be written,
//   - whether an answer was read to its exact end. If not, its connection is
//     not used again.
//
// Waiting for a server can be stopped: see [Call.Watch].
//
// A request whose body comes from its caller piece by piece is a [Stream], on the
// same connections: one goroutine writes it while another reads the answer, which
// may come early, or be an upgrade.
package conversation
