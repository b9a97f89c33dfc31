# What people run. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# The programs of the demo and the images are optimised, without the minutes that fat LTO costs. `dev` builds faster.
DEMO_PROFILE ?= demo
# Always built together: another choice of packages has other features, and builds the dependencies anew.
PROGRAMS := -p weft-operator -p weft-proxy -p weft-e2e -p weft-bench --bins
PROGRAM_DIR := $(or $(CARGO_TARGET_DIR),target)/$(if $(filter dev,$(DEMO_PROFILE)),debug,$(DEMO_PROFILE))
# Tools and control-plane binaries, kept outside target/ so that `make clean` does not cost them.
export WEFT_CACHE ?= $(HOME)/.cache/weft

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## a mesh on this machine, until Ctrl-C; ONCE=1 checks every claim and exits; ONLY=step
	$(CARGO) build --profile $(DEMO_PROFILE) $(PROGRAMS)
	$(PROGRAM_DIR)/demo \
		$(if $(filter-out 0,$(ONCE)),--once) $(if $(ONLY),--only $(ONLY)) $(if $(KEEP),--keep)

.PHONY: test
test: ## everything; what cannot run here is named, with the reason, in the last lines
	@hack/test.sh

.PHONY: lint
lint: ## formatting, clippy, docs, licences and bans, drift of the generated CRDs and chart
	@hack/lint.sh

.PHONY: fmt
fmt: ## format the code
	$(CARGO) fmt --all

.PHONY: crds
crds: ## regenerate config/crd from the types in crds/, and the chart that holds it
	CARGO_TERM_QUIET=true $(CARGO) run -p weft-crds --bin weft-crdgen
	$(MAKE) --no-print-directory chart

.PHONY: chart
chart: ## regenerate the Helm chart, config/chart, from the manifests in config/
	CARGO_TERM_QUIET=true $(CARGO) run -p weft-install --bin weft-chartgen

.PHONY: install.yaml
install.yaml: ## everything that is installed, in one file, for a release; SET="trustDomain=example.org ..."
	CARGO_TERM_QUIET=true $(CARGO) run -p weft-cli --bin weft -- install $(foreach value,$(SET),--set $(value)) > $@

IMAGE_DIR := target/images

.PHONY: images
images: ## the images of the mesh, the bookstore and a client, as OCI archives in target/images
	@hack/node-packages.sh
	@CARGO="$(CARGO)" DEMO_PROFILE=$(DEMO_PROFILE) hack/images.sh

.PHONY: cluster
cluster: images ## a Kubernetes of one node on this machine, with those images; as root on Linux
	CARGO_TERM_QUIET=true $(CARGO) run -p weft-e2e --bin weft-cluster -- up --images $(IMAGE_DIR)

.PHONY: cluster-down
cluster-down: ## take it down, and leave nothing of it
	CARGO_TERM_QUIET=true $(CARGO) run -p weft-e2e --bin weft-cluster -- down

.PHONY: e2e
e2e: $(if $(filter current,$(CLUSTER)),,images) ## the stories on a real cluster, as root on Linux; STORY=part-of-a-name; CLUSTER=current
	WEFT_STORIES=1 $(CARGO) test -p weft-e2e --test stories -- $(STORY)

.PHONY: bench
bench: ## side by side with other proxies; fails where a figure falls short; SCENARIO=name QUICK=1
	@hack/bench-packages.sh
	$(CARGO) build --profile $(DEMO_PROFILE) $(PROGRAMS)
	$(CARGO) build --release -p weft-proxy -p weft-floor --bins
	@CARGO="$(CARGO)" hack/bench-pingora.sh $(or $(CARGO_TARGET_DIR),target)
	hack/bench.sh $(PROGRAM_DIR) $(or $(CARGO_TARGET_DIR),target)/release

.PHONY: clean
clean: ## remove what was built here (not $(WEFT_CACHE))
	$(CARGO) clean
