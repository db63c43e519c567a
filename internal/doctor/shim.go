package doctor

import (
	"fmt"
	"strings"

	"powerjob-shim/rules"
)

// Shim is a shim on the way, as it says itself.
type Shim struct {
	Version string `json:"version"`
	Mode    string `json:"mode"`  // enforce or observe
	Group   string `json:"group"` // of upstreams, that the request was for
	// Header is what its rules did to the auth header of the server's answer, or in
	// mode observe would do: added, kept, recased, denied, see rules.HeaderAction; ""
	// for an answer of its own, without a rule, or where the server sent none and no
	// rule has a value for it.
	Header rules.HeaderAction `json:"header,omitempty"`
}

func (s Shim) String() string {
	name := "powerjob-shim"
	if s.Version != "" {
		name += " " + s.Version
	}
	if s.Group == "" { // it answered before it knew one
		return name + ", mode " + s.Mode
	}
	return name + ", mode " + s.Mode + ", group " + s.Group
}

// Mark returns the line that a shim adds to an answer.
func (s Shim) Mark() string {
	return fmt.Sprintf("version=%s; mode=%s; group=%s; header=%s", s.Version, s.Mode, s.Group, s.Header)
}

// shims returns the shims on the way that add a Mark to an answer, the one next to the
// server first.
func (s sight) shims() (all []Shim) {
	for _, f := range s.Header {
		if !strings.EqualFold(f.Name, Header) {
			continue
		}
		for mark := range strings.SplitSeq(f.Value, ",") { // some hops join lines
			var shim Shim
			for pair := range strings.SplitSeq(mark, ";") {
				name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
				switch name {
				case "version":
					shim.Version = value
				case "mode":
					shim.Mode = value
				case "group":
					shim.Group = value
				case "header":
					shim.Header = rules.HeaderAction(value)
				}
			}
			all = append(all, shim)
		}
	}
	return all
}

// sendsItself tells that the server sends the header itself, in exact case, as
// far as the shim next to it sees: nobody needs the shim for that.
func (e *examined) sendsItself() bool {
	action := func(probe int) rules.HeaderAction {
		if all := e.seen[probe].shims(); len(all) > 0 {
			return all[0].Header
		}
		return ""
	}
	switch action(probeRead) {
	case rules.HeaderDenied: // its check is on, then logins need none
		return true
	case rules.HeaderKept:
		return action(probeLogin) == rules.HeaderKept && action(probeAssert) == rules.HeaderKept
	}
	return false
}

// observing tells that a shim on the way is in mode: observe.
func (e *examined) observing() bool {
	for _, s := range e.shims {
		if s.Mode == "observe" {
			return true
		}
	}
	return false
}
