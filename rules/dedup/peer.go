package dedup

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"strings"
)

// Agent is what a User-Agent says of who sends a request. The zero value is for
// a request without one, and tells nothing.
type Agent struct {
	Print  uint64 // tells User-Agents apart; never 0 but in the zero value
	OkHTTP bool   // it names OkHttp, which PowerJob's Java client is made of
}

// AgentOf reads a User-Agent.
func AgentOf(userAgent string) Agent {
	if userAgent == "" {
		return Agent{}
	}
	sum := sha256.Sum256([]byte(userAgent))
	return Agent{
		Print:  max(binary.BigEndian.Uint64(sum[:8]), 1),
		OkHTTP: strings.Contains(strings.ToLower(userAgent), "okhttp"),
	}
}

// Foreign reports whether it names another make of client than the Java one.
func (a Agent) Foreign() bool { return a != Agent{} && !a.OkHTTP }

// peer is what tells clients apart without their tokens.
type peer struct {
	addr  netip.Addr // invalid: it cannot be trusted
	agent Agent
}

// together reports whether three peers may be one client.
func (a *app) together(x, y, z peer) bool {
	return a.oneAddress(x.addr, y.addr, z.addr) && oneAgent(x.agent, y.agent, z.agent)
}

func (a *app) oneAddress(x, y, z netip.Addr) bool {
	if a.mixed || !x.IsValid() || !y.IsValid() || !z.IsValid() {
		return true
	}
	return x == y && y == z
}

func oneAgent(x, y, z Agent) bool {
	if x == (Agent{}) || y == (Agent{}) || z == (Agent{}) {
		return true
	}
	return x == y && y == z
}

// provokes reports whether the answer that left mk can have made l's client log
// in. The Java client looks the header up in its exact case, which hops change
// although the answer went out with it; no other client does. Many of those log in
// once for each client object, which is no sign of anything.
func (mk *mark) provokes(l *login) bool { return !mk.passed || !l.agent.Foreign() }
