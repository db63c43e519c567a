#!/usr/bin/env bash
# Runs the tests that use real time once more while eight other processes want
# the processors. A test that fails here depends on the machine's speed.
#     bash test/busy/run.sh [PACKAGE ...]
# With packages: these alone.
set -euo pipefail
cd "$(dirname "$0")/../.."

packages=(./internal/config ./internal/logging ./internal/peer ./proxy ./proxy/body ./proxy/upstream ./proxy/upstream/probe ./proxy/upstream/connect ./proxy/upstream/conversation ./internal/store/redislog)
if [ $# -gt 0 ]; then packages=("$@"); fi

# All is built before the machine is busy.
go test -run '^$' "${packages[@]}" >/dev/null
loops=()
trap 'kill "${loops[@]}" 2>/dev/null || true' EXIT
if command -v stress-ng >/dev/null; then
	stress-ng --quiet --cpu 8 --timeout 20m &
	loops+=($!)
else
	for _ in $(seq 8); do
		while :; do :; done &
		loops+=($!)
	done
fi
go test -count=1 -timeout 20m "${packages[@]}"
