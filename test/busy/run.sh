#!/usr/bin/env bash
# Runs the tests that use real time once more while eight other processes want
# the processors. A test that fails here depends on the machine's speed.
#     bash test/busy/run.sh [PACKAGE ...]
# Without packages: those that have passed so. ./proxy, ./proxy/upstream and
# ./internal/store/redislog have real time too and may be named.
set -euo pipefail
cd "$(dirname "$0")/../.."

packages=(./internal/config ./internal/logging ./internal/peer)
if [ $# -gt 0 ]; then packages=("$@"); fi

go test -run '^$' "${packages[@]}" >/dev/null # builds them before the machine is busy
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
go test -count=1 -timeout 25m "${packages[@]}"
