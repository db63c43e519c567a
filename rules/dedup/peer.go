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
	return (a.mixed || same(x.addr, y.addr, z.addr)) && same(x.agent, y.agent, z.agent)
}

// same reports whether three things may be the same one. A zero one tells nothing.
func same[T comparable](x, y, z T) bool {
	var none T
	return x == none || y == none || z == none || x == y && y == z
}
