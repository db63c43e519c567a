#!/usr/bin/env bash
# Runs each test that the table in docs/reliability.md names, several times. It
# fails where one fails, or where there is none of that name.
#     bash test/faults/table.sh [COUNT]
set -euo pipefail
cd "$(dirname "$0")/../.."

count=${1:-10}

# PACKAGE TEST, a line each: a package stands behind its tests; ./proxy has the others.
named=$(awk -F'|' '/^\| [0-9] / {
	cell = $(NF - 1); n = 0
	while (match(cell, /`(Test[A-Za-z0-9_]+|\.\/[a-z0-9\/-]+)/)) {
		word = substr(cell, RSTART + 1, RLENGTH - 1)
		cell = substr(cell, RSTART + RLENGTH)
		if (word ~ /^Test/) { waiting[++n] = word; continue }
		for (; n > 0; n--) print word, waiting[n]
	}
	for (; n > 0; n--) print "./proxy", waiting[n]
}' docs/reliability.md | sort -u)

for package in $(cut -d' ' -f1 <<<"$named" | sort -u); do
	tests=$(awk -v p="$package" '$1 == p {print $2}' <<<"$named")
	pattern="^($(paste -sd'|' <<<"$tests"))\$"
	missing=$(comm -13 <(go test -list "$pattern" "$package" | grep '^Test' | sort) <(sort <<<"$tests"))
	if [ -n "$missing" ]; then
		echo "docs/reliability.md names tests that $package does not have:" $missing
		exit 1
	fi
	echo "$package: $(wc -l <<<"$tests") tests, $count times"
	go test -count="$count" -timeout 60m -run "$pattern" "$package"
done
