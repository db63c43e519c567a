#!/usr/bin/env bash
# Builds the image for amd64 and arm64 under one name, without pulling anything:
# the program is cross-compiled here, and each architecture's image is made from
# scratch as the Dockerfile's last stage says it. Wants buildah.
#     bash test/image/images.sh NAME:TAG [ARCHIVE]
# With ARCHIVE (a .tar) all of it is written there as an OCI archive, for
# buildah, skopeo or podman to push.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=${1:?which name, such as powerjob-shim:v0.1.0}
version=${name##*:} revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)

command -v buildah >/dev/null || { echo "images want buildah; make image builds this machine's alone, by docker"; exit 1; }
certificates=/etc/ssl/certs/ca-certificates.crt
[ -s $certificates ] || { echo "$certificates is missing; install ca-certificates"; exit 1; }

export BUILDAH_FORMAT=docker # the OCI format has no HEALTHCHECK
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if buildah manifest inspect "$name" >/dev/null 2>&1; then buildah manifest rm "$name" >/dev/null; fi
buildah manifest create "$name" >/dev/null
for arch in amd64 arm64; do
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -buildvcs=false \
		-ldflags "-s -w -X main.version=$version -X main.revision=$revision" -o "$work/powerjob-shim" ./cmd/powerjob-shim
	mkdir -p "$work/state"
	container=$(buildah from --format docker --arch $arch scratch)
	buildah copy --quiet "$container" $certificates /etc/ssl/certs/ >/dev/null
	buildah copy --quiet "$container" "$work/powerjob-shim" /powerjob-shim >/dev/null
	buildah copy --quiet --chown 65532:65532 "$container" "$work/state" /var/lib/powerjob-shim >/dev/null
	# Read from the Dockerfile, so that it stays the only place that says it.
	last=$(sed -n '/^FROM scratch/,$p' Dockerfile)
	setting() { sed -n "s/^$1 //p" <<<"$last"; }
	buildah config --os linux --arch $arch \
		--user "$(setting USER)" --entrypoint "$(setting ENTRYPOINT)" --cmd "$(setting CMD | tr -d '[]"')" \
		--env "$(setting ENV)" $(printf -- '--port %s ' $(setting EXPOSE)) \
		--healthcheck "$(setting HEALTHCHECK | sed 's/.*CMD \[//; s/[]",]//g; s/^/CMD /')" \
		--healthcheck-interval 10s --healthcheck-timeout 3s --healthcheck-start-period 5s \
		--label org.opencontainers.image.title=powerjob-shim \
		--label org.opencontainers.image.licenses=Apache-2.0 \
		--label "org.opencontainers.image.version=$version" \
		--label "org.opencontainers.image.revision=$revision" "$container"
	image=$(buildah commit --quiet --rm --format docker "$container")
	buildah manifest add "$name" "$image" >/dev/null
	echo "built for linux/$arch"
done
if [ $# -gt 1 ]; then
	buildah manifest push --all "$name" "oci-archive:$2:$name" >/dev/null
	echo "written to $2"
fi
