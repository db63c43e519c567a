#!/usr/bin/env bash
# Looks for known vulnerabilities in what the code calls, and fails where it
# finds one or could not look.
#     bash test/vuln/check.sh
# govulncheck's own database is a web service that not every machine reaches.
# Its sources are a Go module, golang.org/x/vulndb, so the database is built
# here: from the newest version that the module proxy has, or from the one that
# test/tools/go.mod pins where the proxy does not say which that is.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD

vulndb() { # prints the folder of the module at a version
	(cd test/tools && go mod download -json "golang.org/x/vulndb@$1") | sed -nE 's/^\s*"Dir": "(.*)",?$/\1/p'
}
pinned=$(cd test/tools && go list -m -f '{{.Version}}' golang.org/x/vulndb)
sources=$(vulndb latest 2>/dev/null || true)
if [ -z "$sources" ]; then
	echo "the newest database cannot be had from here: taking the pinned one, $pinned"
	sources=$(vulndb "$pinned")
fi

db=$(mktemp -d)
trap 'rm -rf "$db"' EXIT
bin/indexdb -vulns "$sources/data/osv" -out "$db" >/dev/null
newest=$(ls "$db/ID" | sed -nE 's/^(GO-.*)\.json$/\1/p' | sort -V | tail -1)
published=$(sed -nE 's/.*"published":"([^"]*)".*/\1/p' "$db/ID/$newest.json")
echo "the database: ${sources##*/}, $(ls "$db/ID" | grep -c '^GO-.*\.json$') entries, the newest is $newest of $published"
test -n "$newest"

for module in . cmd/powerjob-shim-ingress test/faults; do
	echo "looking at $module"
	(cd "$module" && "$root/bin/govulncheck" -db "file://$db" ./...)
done
