#!/usr/bin/env bash
# Builds the image from the Dockerfile, looks at what is in it, and runs the
# program out of it, as the image's user in the image's root.
#     bash test/image/check.sh
# Wants root, buildah, and python3 to read what the image says. Where the build
# stage's base cannot be pulled, this machine's Go stands in for it, in an image
# of that name: the Dockerfile is built as it is.
set -euo pipefail
cd "$(dirname "$0")/../.."

for program in buildah busybox python3; do
	if ! command -v $program >/dev/null; then
		echo "NOT BUILT: there is no $program"
		[ "${CI:-}" != true ]
		exit
	fi
done
if [ "$(id -u)" != 0 ]; then
	echo "NOT BUILT: only root may mount the image"
	exit
fi

work=$(mktemp -d)
buildah() { command buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }
shim=
cleanup() {
	if [ -n "$shim" ]; then kill -9 "$shim" 2>/dev/null || true; fi
	buildah rm --all >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap cleanup EXIT

. test/image/base.sh
buildah build --quiet --pull-never --isolation chroot --format docker "${volumes[@]}" \
	--build-arg VERSION=v0.0.0-check --build-arg REVISION=here --tag powerjob-shim:check . >/dev/null
echo "built"

buildah inspect --type image powerjob-shim:check | python3 -c '
import json, sys
config = json.load(sys.stdin)["Docker"]["config"]
want = {
    "User": "65532:65532", "Entrypoint": ["/powerjob-shim"], "Cmd": ["run"], "ExposedPorts": {"7700/tcp": {}, "9700/tcp": {}},
    "Healthcheck": {"Test": ["CMD", "/powerjob-shim", "healthcheck"], "Interval": 10**10, "Timeout": 3 * 10**9, "StartPeriod": 5 * 10**9},
}
for key, value in want.items():
    if config.get(key) != value:
        sys.exit(f"{key} is {config.get(key)}, want {value}")
if "POWERJOB_SHIM_ADMIN=:9700" not in config["Env"]:
    sys.exit("the environment is %s" % config["Env"])
if config["Labels"]["org.opencontainers.image.version"] != "v0.0.0-check":
    sys.exit("the labels are %s" % config["Labels"])
'
container=$(buildah from powerjob-shim:check)
root=$(buildah mount "$container")
chmod 755 "$root" # the storage's own directory
files=$(cd "$root" && find . -type f -o -type l -o -name powerjob-shim | sort | tr '\n' ' ')
if [ "$files" != "./etc/ssl/certs/ca-certificates.crt ./powerjob-shim ./var/lib/powerjob-shim " ]; then
	echo "the image holds $files"
	exit 1
fi
echo "it holds the program, the CA certificates and an empty /var/lib/powerjob-shim, and nothing else"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
program=(env -i PATH="$PATH" POWERJOB_SHIM_ADMIN="127.0.0.1:$port" chroot --userspec=65532:65532 "$root" /powerjob-shim)
"${program[@]}" version | grep 'v0.0.0-check (revision here'
mkdir "$root/etc/shim"
cat >"$root/etc/shim/shim.yaml" <<-YAML
	listen: [{address: "127.0.0.1:0", tls: {mode: self-signed}}]
	upstreams: {default: {servers: ["http://127.0.0.1:1"]}}
YAML
"${program[@]}" run --config /etc/shim/shim.yaml 2>"$work/log" &
shim=$!
for _ in $(seq 100); do
	if "${program[@]}" healthcheck 2>/dev/null; then break; fi
	sleep 0.1
done
"${program[@]}" healthcheck
if [ -z "$(ls -A "$root/var/lib/powerjob-shim")" ]; then
	echo "it keeps no certificate:"
	cat "$work/log"
	exit 1
fi
kill -TERM "$shim"
rc=0
wait "$shim" || rc=$?
shim=
if [ $rc != 0 ]; then
	echo "it ended with $rc:"
	cat "$work/log"
	exit 1
fi
echo "it runs, is healthy, keeps a certificate and ends in order"
