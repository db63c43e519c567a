#!/usr/bin/env bash
# Builds the image for linux/amd64 and linux/arm64 from the Dockerfile, as one
# OCI archive that a registry takes.
#     bash test/release/image.sh DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$1

for program in buildah busybox; do
	if ! command -v $program >/dev/null; then
		echo "no image: there is no $program"
		[ "${CI:-}" != true ]
		exit
	fi
done
if [ "$(id -u)" != 0 ]; then
	echo "no image: only root may mount the image"
	exit
fi

work=$(mktemp -d)
buildah() { command buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }
cleanup() {
	buildah rm --all >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap cleanup EXIT

. test/image/base.sh
version=$(sed -nE 's/.*"version":"([^"]*)".*/v\1/p' "$out/metadata.json")
for platform in linux/amd64 linux/arm64; do
	buildah build --quiet --pull-never --isolation chroot --format oci "${volumes[@]}" --platform $platform \
		--build-arg VERSION="$version" --build-arg REVISION="$(git rev-parse HEAD)" --manifest powerjob-shim . >/dev/null
done
buildah manifest inspect powerjob-shim | tr -d ' \n' | grep -q '"architecture":"amd64".*"architecture":"arm64"'
buildah manifest push --quiet --all powerjob-shim "oci-archive:$out/powerjob-shim_${version#v}_image.tar"
echo "image for amd64 and arm64: $out/powerjob-shim_${version#v}_image.tar"
