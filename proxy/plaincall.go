package proxy

// servesPlainCalls lets listeners serve plain calls without net/http's server. Only
// tests switch it off.
var servesPlainCalls = true

// plainCalls returns a function that tells a listener which plain requests it may serve
// without net/http's server (see listen.Config.Plain). These are the calls whose bodies
// the shim holds anyway. nil: none.
func (p *Proxy) plainCalls() func(target string, length int64) bool {
	if !servesPlainCalls {
		return nil
	}
	return func(target string, length int64) bool {
		snap := p.snap.Load()
		return length <= snap.Dedup.BodyBound() && snap.MayBeCall(target)
	}
}
