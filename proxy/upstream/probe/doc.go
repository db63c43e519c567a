// Package probe asks servers whether they are PowerJob servers. If one is not, it says
// what is wrong: the address, TLS, the virtual host or the context path.
//
//	v := target.Ask(ctx) // one question
//	p := probe.New(target, log)
//	go p.Run(life) // until the server is ready, and again when it fails
package probe
