# make help lists the targets. demo, run, test, bench and build need only Go;
# tests that need Java, Maven, Chromium, HAProxy or nginx are skipped with one
# line if these are missing.

GO       ?= go

# If this machine's Go is older than the toolchain that go.mod names, that one is
# fetched: its standard library has fixes for known vulnerabilities. Some machines
# set GOTOOLCHAIN=local, with which the line in go.mod would be ignored.
export GOTOOLCHAIN := auto

UPSTREAM ?=
SOAK     ?= 5m
SEEDS    ?= 2000
ROUNDS   ?= 5
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
IMAGE    ?= powerjob-shim:$(VERSION)
INGRESS_IMAGE ?= powerjob-shim-ingress:$(VERSION)
ENGINE   ?= $(shell if docker info >/dev/null 2>&1 || ! command -v buildah >/dev/null; then echo docker; else echo buildah; fi)
LDFLAGS  := -s -w -X main.version=$(VERSION) -X main.revision=$(REVISION)

# The race detector needs a C compiler.
RACE      = $(shell command -v $(firstword $(shell $(GO) env CC)) >/dev/null && echo -race)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## show the defect and the cure; needs no server
	@echo "compiling bin/powerjob-shim: a minute or two the first time, then seconds"
	@$(MAKE) --no-print-directory -s build
	bin/powerjob-shim demo

.PHONY: run
run: ## run in front of your server: make run UPSTREAM=http://127.0.0.1:7701
	@test -n "$(UPSTREAM)" || { echo "say where your server is: make run UPSTREAM=http://host:port"; exit 2; }
	$(GO) run ./cmd/powerjob-shim run --upstream $(UPSTREAM)

.PHONY: test
test: ## all tests, with the race detector
	@test -n "$(RACE)" || echo "no C compiler here: testing without the race detector"
	$(GO) test $(RACE) -timeout 25m ./...
	cd test/faults && $(GO) test $(RACE) -timeout 5m ./...
	cd cmd/powerjob-shim-ingress && $(GO) test $(RACE) -timeout 5m ./...
	$(GO) test -timeout 25m ./test/sim -args -seeds $(SEEDS)

.PHONY: busy
busy: ## the tests that use real time once more, beside eight busy processes
	bash test/busy/run.sh

.PHONY: sim
sim: ## the simulation's table: make sim SEEDS=20000
	$(GO) test -count=1 -timeout 0 -v -run 'GoesWrongMoreOften|EachLimit|SharedStoreThat' ./test/sim -args -seeds $(SEEDS)

.PHONY: faults
faults: ## 10,000 broken connections to servers, and each fault of docs/reliability.md ten times
	cd test/faults && $(GO) test -count=1 -timeout 25m -v . -args -faults 10000
	bash test/faults/table.sh 10

.PHONY: servers
servers: ## the shared store on Redis 6.2, Redis 8 and Valkey 9
	bash test/redis/servers.sh

.PHONY: soak
soak: ## 5 minutes of load and change (SOAK=duration)
	SOAK=$(SOAK) $(GO) test -count=1 -timeout 0 -v ./test/soak/

.PHONY: e2e
e2e: ## only the tests with the real client and server; all programs they need must be installed
	CI=true $(GO) test $(RACE) -count=1 -timeout 25m -v ./test/e2e/...

# This is a separate module, because Kubernetes brings some two hundred modules
# along. As in its own build, the linker sets the version that the API server reports.
KUBE_VERSION = $(shell sed -nE 's|^.*k8s.io/kubernetes (v[0-9.]+).*|\1|p' test/kube/go.mod)
bin/kube: test/kube/go.mod test/kube/go.sum $(wildcard test/kube/*/*.go)
	cd test/kube && GOGC=off GOMEMLIMIT=2GiB nice -n 10 $(GO) build -ldflags '-s -w -X k8s.io/component-base/version.gitVersion=$(KUBE_VERSION)' -o ../../bin/kube/ \
		k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl helm.sh/helm/v4/cmd/helm ./etcd ./cluster
	@touch bin/kube

.PHONY: kube-e2e
kube-e2e: bin/kube ## chart, manifests and ingress controller on a real API server, with the real kubectl, helm and Java client; KUBE_AWAY=1m keeps the server away longer
	KUBE_E2E=$(CURDIR)/bin/kube $(GO) test -count=1 -timeout 11m -run '^TestKube' ./test/e2e

.PHONY: kube-cluster
kube-cluster: bin/kube ## a real API server to try things on, without nodes, until Ctrl-C or the end of standard input; prints the kubeconfig's name
	@dir=$$(mktemp -d) && echo "In another terminal, once the kubeconfig is named below:" && \
	echo "  export PATH=$(CURDIR)/bin/kube:\$$PATH KUBECONFIG=$$dir/kubeconfig" && PATH=$(CURDIR)/bin/kube:$$PATH bin/kube/cluster $$dir; rm -rf $$dir

.PHONY: build-ingress
build-ingress: ## bin/powerjob-shim-ingress, static
	cd cmd/powerjob-shim-ingress && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o ../../bin/powerjob-shim-ingress .

.PHONY: image-ingress
image-ingress: ## the ingress controller's image
	BUILDAH_FORMAT=docker $(ENGINE) build -f cmd/powerjob-shim-ingress/Dockerfile --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) -t $(INGRESS_IMAGE) .

.PHONY: cost
cost: ## what a request costs: time, bytes and allocations
	$(GO) test -run '^$$' -bench . -benchmem ./proxy/ ./proxy/routing/ ./rules/...

bin/caddy:
	GOBIN=$(CURDIR)/bin nice -n 10 $(GO) install github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9

.PHONY: manifests
manifests: ## check the Kubernetes, Docker and systemd files
	bash test/manifests/check.sh

.PHONY: imagecheck
imagecheck: ## build the image with buildah, look into it and run it
	bash test/image/check.sh

.PHONY: bench
bench: build ## the shim side by side with what you would pick instead; make bin/caddy first to have Caddy in it
	$(GO) run ./test/bench -rounds $(ROUNDS) -svg docs/performance.svg

.PHONY: build
build: ## bin/powerjob-shim, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/powerjob-shim ./cmd/powerjob-shim

.PHONY: man
man: ## the manual pages, in bin/man
	$(GO) run ./cmd/powerjob-shim man bin/man

# This is a separate module, because goreleaser brings some hundred modules along.
bin/goreleaser bin/cyclonedx-gomod: test/tools/release/go.mod test/tools/release/go.sum
	cd test/tools/release && GOBIN=$(CURDIR)/bin nice -n 10 $(GO) install tool
	@touch bin/goreleaser bin/cyclonedx-gomod

.PHONY: release
release: bin/goreleaser ## build a release into dist, nothing is published: make release TARGETS="linux_amd64 windows_arm64"
	bash test/release/release.sh $(TARGETS)

.PHONY: debcheck
debcheck: ## install the deb of make release into a throw-away Debian
	bash test/release/deb.sh

.PHONY: image
image: ## the container image, by docker, or by buildah where no docker answers
	BUILDAH_FORMAT=docker $(ENGINE) build --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) -t $(IMAGE) .

.PHONY: images
images: ## the image for amd64 and arm64 under one name, by buildah
	bash test/image/images.sh $(IMAGE)

# The linters are in a separate module, so that the product's go.sum stays small.
# They are built once; that takes minutes.
bin/golangci-lint bin/govulncheck bin/indexdb: test/tools/go.mod test/tools/go.sum
	cd test/tools && GOBIN=$(CURDIR)/bin nice -n 10 $(GO) install tool
	@touch bin/golangci-lint bin/govulncheck bin/indexdb

.PHONY: lint
lint: bin/golangci-lint ## go vet and golangci-lint
	$(GO) vet ./...
	bin/golangci-lint run ./...

.PHONY: vuln
vuln: bin/govulncheck bin/indexdb ## known vulnerabilities in what the code calls
	bash test/vuln/check.sh
