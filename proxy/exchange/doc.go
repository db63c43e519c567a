// Package exchange is one request on its way through the chain, from its header to
// its answer's last byte.
//
// An Exchange has three parts: what the links find out about the request (Facts), what
// they decide (Verdicts), and what becomes of it (Outcome). Besides it has the caller,
// who can be asked whether he is still there, and the writer of his answer.
//
//	ex, r := exchange.New(w, r, snapshot, metrics, version)
//	next(&ex.Answer, r, ex)
//
// All answers go through AnswerWriter, which finishes their header. It carries out the
// header rules (package headercase); proxy/chain.go says on which answers. Fail writes the
// shim's own errors. A request without an answer from a server gets such an error, or its
// connection is closed; see Unanswered.
//
// An Exchange is also what package upstream asks while it sends: whether the call is
// still wanted, and why it is not.
package exchange
