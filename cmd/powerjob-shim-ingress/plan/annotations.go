package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"powerjob-shim/internal/config"
	"powerjob-shim/internal/wire"
	"powerjob-shim/proxy"
	"powerjob-shim/rules/access"
)

// Prefix begins the names of the controller's annotations.
const Prefix = "powerjob-shim.dev/"

// Names of annotations, without Prefix. All but StripPrefix change the Service's
// group, and so apply to all Ingresses that lead there.
const (
	Mode             = "mode"              // enforce, or observe: nothing is changed on the wire, all is counted
	Window           = "window"            // of the dedup rules, such as 5s
	DedupMatch       = "dedup-match"       // resend or body, for the dedup rules
	AuthMode         = "auth-mode"         // off, observe or enforce
	OpenAPIPrefix    = "openapi-prefix"    // such as /x/openApi
	StripPrefix      = "strip-prefix"      // cut off paths before they go to the server
	Host             = "host"              // keep, upstream or a name
	UpstreamProtocol = "upstream-protocol" // http or https
	Unreachable      = "unreachable"       // close or error
	Timeout          = "timeout"           // of the group, such as 1m; also stream_timeout where that is shorter
	Template         = "upstream"          // a group of the controller's configuration, for all other settings
)

// annotations are valid values by name, without Prefix.
type annotations map[string]string

// check has, by name, a function that returns what to write instead of an invalid
// value; "": the value is valid.
var check = map[string]func(value string) string{
	Mode:             oneOf("enforce", "observe"),
	Window:           checkDuration,
	Timeout:          checkDuration,
	DedupMatch:       oneOf(config.MatchResend, config.MatchBody),
	AuthMode:         oneOf("off", "observe", "enforce"),
	OpenAPIPrefix:    checkPrefix("/x/openApi"),
	StripPrefix:      checkPrefix("/powerjob"),
	Host:             checkHost,
	UpstreamProtocol: oneOf("http", "https"),
	Unreachable:      oneOf("close", "error"),
	Template:         checkTemplate,
}

// parseAnnotations returns the valid annotations with Prefix, and what is wrong with
// the others, sorted by name.
func parseAnnotations(all map[string]string) (annotations, []string) {
	parsed := annotations{}
	var problems []string
	for _, full := range slices.Sorted(maps.Keys(all)) {
		name, ours := strings.CutPrefix(full, Prefix)
		if !ours {
			continue
		}
		value := all[full]
		test, known := check[name]
		switch {
		case !known:
			problems = append(problems, fmt.Sprintf("there is no annotation %s; write one of %s", full, strings.Join(slices.Sorted(maps.Keys(check)), ", ")))
		case test(value) != "":
			problems = append(problems, fmt.Sprintf("annotation %s: %q is not valid; write %s", full, value, test(value)))
		default:
			parsed[name] = value
		}
	}
	return parsed, problems
}

func oneOf(words ...string) func(string) string {
	return func(value string) string {
		if slices.Contains(words, value) {
			return ""
		}
		return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
	}
}

func checkDuration(value string) string {
	if d, err := time.ParseDuration(value); err == nil && d > 0 {
		return ""
	}
	return "a duration with its unit, such as 5s"
}

func checkPrefix(example string) func(string) string {
	return func(value string) string {
		if strings.HasPrefix(value, "/") && !strings.HasSuffix(value, "/") && literal(value) {
			return ""
		}
		return "whole segments of a path, without a slash at the end, such as " + example
	}
}

func checkHost(value string) string {
	name, port, hasPort := strings.Cut(value, ":")
	if len(validation.IsDNS1123Subdomain(name)) == 0 && (!hasPort || port != "" && strings.Trim(port, "0123456789") == "") {
		return ""
	}
	return "keep, upstream or a host's name"
}

func checkTemplate(value string) string {
	if len(validation.IsDNS1123Label(value)) == 0 {
		return ""
	}
	return "the name of a group under upstreams of the controller's configuration"
}

// ruleChange has the annotations that change rules; "": no change.
type ruleChange struct{ mode, window, match string }

// policy returns the base's policy with the changes of the annotations. Nil: they
// change nothing.
func (m *maker) policy(a annotations) *proxy.Policy {
	change := ruleChange{a[Mode], a[Window], a[DedupMatch]}
	if change == (ruleChange{}) && a[AuthMode] == "" {
		return nil
	}
	made := m.policies[change]
	if made == nil {
		made = m.changedRules(change)
		m.policies[change] = made
	}
	p := *made
	p.Access = m.base.Settings.Access
	switch a[AuthMode] {
	case "off":
		p.Access.Mode = access.Off
	case "observe":
		p.Access.Mode = access.Observe
	case "enforce":
		p.Access.Mode = access.Enforce
	}
	return &p
}

// changedRules compiles the base's rules with a change.
func (m *maker) changedRules(change ruleChange) *proxy.Policy {
	p := &proxy.Policy{Rules: m.base.Settings.Rules, Observe: m.base.Settings.Dedup.Observe, Observing: m.base.Settings.Observing}
	if change.mode != "" {
		p.Observing = change.mode == "observe"
	}
	list := slices.Clone(m.base.Rules)
	for i := range list {
		if d := list[i].Dedup; d != nil {
			own := *d
			if w, err := time.ParseDuration(change.window); err == nil {
				own.Window = w
			}
			if change.match != "" {
				own.Match = change.match
			}
			list[i].Dedup = &own
		}
	}
	if set, err := wire.Rules(list); err == nil { // always nil: the base's rules compile, and no change here can break them
		p.Rules = set
	}
	return p
}
