// Package probe asks servers whether they are PowerJob servers, and says what is
// wrong where they are not: the address, TLS, the virtual host, the context path.
//
//	v := target.Ask(ctx) // one question
//	p := probe.New(target, log)
//	go p.Run(life) // until the server is ready, and again when it fails
package probe
