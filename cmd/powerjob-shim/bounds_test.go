package main

import (
	"strings"
	"testing"

	"powerjob-shim/internal/config"
)

func TestTheBoundsAreTold(t *testing.T) {
	cfg, err := config.Load(config.Source{Environ: []string{
		"POWERJOB_SHIM_UPSTREAM=http://127.0.0.1:7701", "POWERJOB_SHIM_MAX_BODY=20MiB", "POWERJOB_SHIM_DEDUP__MAX_ENTRIES=500",
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(bounds(cfg), "\n")
	const want = `calls on record: 500, their answers: 64MiB (dedup.max_entries, dedup.max_bytes)
a body that is compared: 1MiB, an answer that is recorded: 256KiB (dedup.max_body, dedup.max_answer)
answers that are being collected: 32MiB (dedup.max_held_answers)
a request's body: 20MiB (max_body)
connections to :7700: no bound (listen[].max_connections)
connections to each server of default: no bound, requests at all of them: no bound (max_connections, max_requests)`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
