// Package exchange is one request on its way through the chain, from its header to
// its answer's last byte.
//
// An Exchange has three parts: what the links find out about the request (Facts), what
// they decide (Verdicts), and how it ends (Outcome). It also has the Caller, which can be
// asked whether it is still there, and the writer of the answer.
//
//	ex, r := exchange.New(w, r, snapshot, metrics, version)
//	next(&ex.Answer, r, ex)
//
// All answers go through AnswerWriter, which completes their header. It applies the
// header rules (package headercase); proxy/chain.go says to which answers. Fail writes the
// shim's own errors. A request without an answer from a server gets such an error, or its
// connection is closed; see Unanswered.
//
// Package upstream asks an Exchange, while it sends, whether the call is still wanted,
// and why not (upstream.Caller).
package exchange
