// Package link has the links of the chain, one a file: each looks at a request, answers
// it or passes it on to the next. A link that needs something is a small struct with
// that, and its method Link puts it in front of others:
//
//	h = link.Hold{Bodies: &bodies}.Link(h)
//
// The order of the chain, and why, is told where it is composed, in package proxy. The
// gate is package gate below; deduplication is package replay, and sending is package
// forward.
package link
