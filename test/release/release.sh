#!/usr/bin/env bash
# Builds a release into dist/ without publishing anything: archives, packages,
# an SBOM for each program, and checksums.
#     bash test/release/release.sh [linux_amd64 windows_arm64 ...]
# Without names all six targets are built. Wants a clean checkout.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ -n "$(git status --porcelain)" ]; then
	echo "the checkout has changes; commit or stash them first, a release is built from a commit:"
	git status --short
	exit 1
fi

config=.goreleaser.yaml
if [ $# -gt 0 ]; then
	config=$(mktemp --suffix=.yaml)
	trap 'rm -f "$config"' EXIT
	targets=$(printf '%s, ' "$@")
	sed -E -e "s/^    goos: .*/    targets: [${targets%, }]/" -e '/^    goarch: /d' .goreleaser.yaml >"$config"
fi
# goreleaser looks for the SBOM's tool in PATH.
PATH=$PWD/bin:$PATH bin/goreleaser release --snapshot --clean --config "$config"
(cd dist && sha256sum --check --quiet checksums.txt)
echo "in dist: $(cd dist && ls *.tar.gz *.zip *.deb *.rpm *.json 2>/dev/null | tr '\n' ' ')"
