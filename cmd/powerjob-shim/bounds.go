package main

import (
	"fmt"
	"maps"
	"slices"

	"powerjob-shim/internal/config"
)

// bounds lists what a configuration bounds, and by which key. It is logged once, at
// the start, to help find the reason of a later 503 or 413.
func bounds(cfg *config.Config) []string {
	d := cfg.Dedup
	all := []string{
		fmt.Sprintf("calls on record: %d, their answers: %v (dedup.max_entries, dedup.max_bytes)", d.MaxEntries, d.MaxBytes),
		fmt.Sprintf("a body that is compared: %v, an answer that is recorded: %v (dedup.max_body, dedup.max_answer)", d.MaxBody, d.MaxAnswer),
		fmt.Sprintf("answers that are being collected: %v (dedup.max_held_answers)", d.MaxHeldAnswers),
		"a request's body: " + orNone(cfg.MaxBody) + " (max_body)",
	}
	for _, l := range cfg.Listen {
		all = append(all, fmt.Sprintf("connections to %s: %s (listen[].max_connections)", l.Address, orNone(l.MaxConnections)))
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Upstreams)) {
		u := cfg.Upstreams[name]
		all = append(all, fmt.Sprintf("connections to each server of %s: %s, requests at all of them: %s (max_connections, max_requests)",
			name, orNone(u.MaxConnections), orNone(u.MaxRequests)))
	}
	return all
}

// orNone writes a limit for people; 0 is no bound.
func orNone[T int | config.Size](limit T) string {
	if limit == 0 {
		return "no bound"
	}
	return fmt.Sprint(limit)
}
