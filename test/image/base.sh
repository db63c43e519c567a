# Sourced, with a function buildah: makes sure that the base of the Dockerfile's
# build stage is there. Where it cannot be pulled, this machine's Go stands in
# for it, in an image of that name: the Dockerfile is built as it is. Sets
# volumes, the options that a build then needs.
base=$(sed -nE 's/^FROM (--platform=\S+ )?(\S+) AS build$/\2/p' Dockerfile)
volumes=()
if ! buildah pull --quiet "$base" >/dev/null 2>&1; then
	echo "$base cannot be pulled from here: this machine's $(go env GOVERSION) stands in for it"
	go mod download
	from=$(buildah from scratch)
	root=$(buildah mount "$from")
	mkdir -p "$root"/{bin,tmp,go/pkg/mod,usr/local/go,cache,etc/ssl/certs}
	cp "$(command -v busybox)" "$root/bin/busybox"
	for applet in sh mkdir; do ln -s busybox "$root/bin/$applet"; done
	cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
	buildah config --env PATH=/usr/local/go/bin:/bin --env GOPATH=/go --env GOCACHE=/cache --env GOTOOLCHAIN=local --env GOPROXY=off "$from"
	buildah commit --quiet --rm "$from" "$base" >/dev/null
	volumes=(--volume "$(go env GOROOT):/usr/local/go:ro" --volume "$(go env GOMODCACHE):/go/pkg/mod:ro"
		--volume "$(go env GOCACHE):/cache")
fi
