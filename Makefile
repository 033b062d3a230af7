# Each target is described after its name; `make` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help

# Tests bootstrap roots of Debian and bake images, which takes long on a slow machine with an empty cache.
export TIMEOUT ?= 45m

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: bake
bake: ## bake the example: a golden image and each node's seed, in out/ (RELEASE=NAME: only that release)
	@scripts/setup
	@scripts/bake

.PHONY: build
build: ## build bake, ha-agent and packer-plugin-hapair, in bin/
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/...

.PHONY: release
release: ## build Debian packages, archives and Packer's plugin for amd64 and arm64, in dist/ (SIGN=KEY: sign their digests)
	@scripts/release

.PHONY: test
test: ## run every test; needs root (with sudo). Without root: go test ./...
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

.PHONY: test-wide
test-wide: ## run all tests for every release, example and address family that they know, and fuzz; needs root, takes hours
	@scripts/setup test
	@scripts/test wide

.PHONY: race
race: ## run all tests except those of whole clusters with the race detector; needs root
	@scripts/setup test
	@scripts/test race

.PHONY: test-qemu
test-qemu: ## boot images of each release with BIOS and UEFI, and bake with Packer's QEMU builder, all emulated: takes hours
	@scripts/setup test
	@scripts/test qemu

.PHONY: bench
bench: ## compare hapair with common setups; takes an hour (BENCH=Reload: only that part); writes out/bench
	@scripts/setup test
	@scripts/test bench

.PHONY: generate
generate: ## generate documentation, schemas and HCL specs
	go generate ./...

.PHONY: lint
lint: ## gofmt, vet, staticcheck, shellcheck, tidiness of go.mod, generated files, govulncheck
	@scripts/setup test
	@scripts/lint

.PHONY: clean
clean: ## remove all built and baked files
	rm -rf bin dist out
