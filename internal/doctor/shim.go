package doctor

import (
	"fmt"
	"slices"
	"strings"

	"powerjob-shim/rules"
)

// Shim is what a shim on the way says of itself.
type Shim struct {
	Version string `json:"version"`
	Mode    string `json:"mode"`  // enforce or observe
	Group   string `json:"group"` // the upstream group that the request was for
	// Header is what its rules did to the auth header of the server's answer, or in
	// mode observe would have done: added, kept, recased, denied, see
	// rules.HeaderAction. Empty: the answer is the shim's own, no rule matches, or the
	// server sent no header and no rule has a value for it.
	Header rules.HeaderAction `json:"header,omitempty"`
}

func (s Shim) String() string {
	name := "powerjob-shim"
	if s.Version != "" {
		name += " " + s.Version
	}
	if s.Group == "" { // it answered before it chose a group
		return name + ", mode " + s.Mode
	}
	return name + ", mode " + s.Mode + ", group " + s.Group
}

// Mark returns the value of Header that the shim adds to an answer.
func (s Shim) Mark() string {
	return fmt.Sprintf("version=%s; mode=%s; group=%s; header=%s", s.Version, s.Mode, s.Group, s.Header)
}

// shims returns the shims on the way that have added a Mark to the answer, the shim
// next to the server first.
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

// sendsItself reports whether the server sends the header itself, in exact case, by
// what the shim next to it says: then the shim is not needed for it.
func (e *examined) sendsItself() bool {
	action := func(probe int) rules.HeaderAction {
		if all := e.seen[probe].shims(); len(all) > 0 {
			return all[0].Header
		}
		return ""
	}
	switch action(probeRead) {
	case rules.HeaderDenied: // the server's check is on; then logins need no header
		return true
	case rules.HeaderKept:
		return action(probeLogin) == rules.HeaderKept && action(probeAssert) == rules.HeaderKept
	}
	return false
}

// observing reports whether a shim on the way is in mode: observe.
func (e *examined) observing() bool {
	return slices.ContainsFunc(e.shims, func(s Shim) bool { return s.Mode == "observe" })
}
