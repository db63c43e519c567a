package openapi

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// Agent is what a User-Agent says about the sender of a request. The zero value is for
// a request without one, and tells nothing.
type Agent struct {
	Print  uint64 // tells User-Agents apart; 0 only in the zero value
	OkHTTP bool   // it names OkHttp, which PowerJob's Java client uses
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

// Foreign reports whether it names a client other than the Java one.
func (a Agent) Foreign() bool { return a != Agent{} && !a.OkHTTP }
