#!/usr/bin/env bash
# What a release holds beside the program: manual pages, shell completions, and
# the systemd unit as a package installs it.
#     bash test/release/extras.sh DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$1

rm -rf "$out"
mkdir -p "$out/completions"
go build -o "$out/program" ./cmd/powerjob-shim
"$out/program" man "$out/man"
"$out/program" completion bash >"$out/completions/powerjob-shim.bash"
"$out/program" completion zsh >"$out/completions/_powerjob-shim"
"$out/program" completion fish >"$out/completions/powerjob-shim.fish"
rm "$out/program"

# A package brings a user of its own, who may read the configuration's secrets
# and nobody else; its comments on installing by hand go.
sed -E -e '1,/^[^#]/{/^#/d}' -e 's|/usr/local/bin/|/usr/bin/|' \
	-e 's|^DynamicUser=yes$|User=powerjob-shim\nGroup=powerjob-shim|' \
	configs/systemd/powerjob-shim.service >"$out/powerjob-shim.service"
grep -q '^User=powerjob-shim$' "$out/powerjob-shim.service"
