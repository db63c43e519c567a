package main

import (
	"slices"
	"strings"

	"go.uber.org/zap"

	"powerjob-shim/internal/config"
	"powerjob-shim/internal/wire"
	"powerjob-shim/rules/openapi"
)

// warnOfUncovered logs what uncovered returns.
func warnOfUncovered(cfg *config.Config, log *zap.Logger) {
	for _, warning := range uncovered(cfg) {
		log.Warn(warning)
	}
}

// uncovered returns a warning for each thing that most users want, but the rules of
// a valid configuration do not do: a list of rules replaces the default list as a
// whole, so that a forgotten rule is silently missing. The hosts that a rule names
// are ignored here.
func uncovered(cfg *config.Config) []string {
	everywhere := slices.Clone(cfg.Rules)
	for i := range everywhere {
		everywhere[i].Hosts = nil
	}
	set, err := wire.Rules(everywhere)
	if err != nil {
		return nil // the caller has reported it as an error
	}
	var headerless, repeated []string
	for _, call := range openapi.Calls() {
		matched := set.For("POST", "", openapi.Prefix+call.Name)
		if len(matched.Headers) == 0 {
			headerless = append(headerless, call.Name)
		}
		if call.Kind == openapi.Change && matched.Dedup == nil {
			repeated = append(repeated, call.Name)
		}
	}
	var warnings []string
	if len(headerless) > 0 {
		warnings = append(warnings, "rules: no header rule for "+strings.Join(headerless, ", ")+
			": 5.x clients repeat these; copy the rule auth-passed from the defaults, your list replaces them")
	}
	if len(repeated) > 0 {
		warnings = append(warnings, "rules: no dedup rule for "+strings.Join(repeated, ", ")+
			": when a client repeats one of these, it is executed again; copy the rule other-changes from the defaults to the end of your list, which replaces them")
	}
	return warnings
}
