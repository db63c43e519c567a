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
// All answers go through AnswerWriter, which finishes their header: that of a server's
// answer gets the exact case that the header rules want (package headercase), and the
// shim's own errors, which Fail writes, stay as they are. A request that no server got
// is answered, or its connection is closed; see Unanswered.
//
// An Exchange is also what package upstream asks while it sends: whether the call is
// still wanted, and why it is not.
package exchange
