// Package body reads requests' bodies: it holds a body in memory if a link must look at
// it, and makes sure that streamed ones keep moving.
//
//	in := body.Counted{ReadCloser: r.Body}
//	r.Body = &in // else nothing is counted
//	held, err := holder.Hold(r, body.Incoming{In: &in, Limit: 1 << 20, Pace: pace, Answer: w})
//	defer held.Release()
//	if held.Why == "" { /* held.Bytes is the whole body */ } // else r.Body still yields all of it
package body
