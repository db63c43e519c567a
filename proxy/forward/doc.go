// Package forward sends requests to the servers of their group and passes the answers
// on: streams through httputil.ReverseProxy, calls that are held in memory directly.
// Its second link translates runJob2 for servers that lack it.
//
//	f := forward.New(life, log, metrics)
//	h := f.Translate(f.Forward)
package forward
