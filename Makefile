# What each target does stands behind its name; `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# Tests make roots of Debian and bake images: on a slow machine with an empty cache they take their time.
export TIMEOUT ?= 45m

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: bake
bake: ## bake the example: a golden image and each node's seed, in out/ (RELEASE=NAME insists on a release)
	@scripts/setup
	@scripts/bake

.PHONY: build
build: ## build bake, ha-agent and packer-plugin-hapair, in bin/
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

.PHONY: test
test: ## run every test; needs root (by sudo). Without root: go test ./...
	@scripts/setup test
	@scripts/test

.PHONY: test-lab
test-lab: ## run the unit tests, and those of the real daemons and tools; needs root
	@scripts/setup test
	@scripts/test lab

.PHONY: test-cluster
test-cluster: ## run the tests of whole clusters; needs root
	@scripts/setup test
	@scripts/test cluster

.PHONY: race
race: ## run the tests of everything but whole clusters with the race detector; needs root
	@scripts/setup test
	@scripts/test race

.PHONY: test-qemu
test-qemu: ## boot images of each release by BIOS and UEFI, and bake by Packer's QEMU builder, all emulated: takes hours
	@scripts/setup test
	@scripts/test qemu

.PHONY: bench
bench: ## measure it beside what people use today, for an hour (BENCH=Reload: that alone); writes out/bench
	@scripts/setup test
	@scripts/test bench

.PHONY: generate
generate: ## write anew what is generated: documentation, schemas, HCL specs
	go generate ./...

.PHONY: lint
lint: ## gofmt, vet, staticcheck, shellcheck, tidiness of go.mod, generated files, govulncheck
	@scripts/setup test
	@scripts/lint

.PHONY: clean
clean: ## remove what was built and baked
	rm -rf bin out
