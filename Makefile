# kubewright's two commands are `make cluster` and `make test`. Everything they need is installed and started by them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo
INVENTORY ?= inventories/lab
BIN := target/debug/kubewright
# All tests are built with the same features: one build of the library, of the program and of the tests serves them all.
# `make cluster` is built without them: the EC2 client takes minutes.
TESTED := --features aws,testing

.PHONY: help cluster test test-unit test-lab test-ec2 test-full lint deps engine build release bench conformance destroy clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

cluster: build engine ## A real kubeadm cluster of 1 control plane and 3 workers on this machine, and its health report
	$(BIN) bootstrap -i $(INVENTORY) --yes

test: lint test-unit test-ec2 test-lab ## Everything: formatting, clippy, unit tests, EC2 against moto and a strict model, end to end on the lab

build: deps ## The program, without the EC2 provider
	$(CARGO) build --locked

release: ## The program as it is released: optimised, with the EC2 provider
	$(CARGO) build --locked --release --features aws

lint: deps ## Formatting and clippy, warnings denied
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets $(TESTED) -- -D warnings

test-unit: deps ## Tests that need no machine but this one, in seconds
	$(CARGO) test --locked $(TESTED) --lib --test layering --test docs --test verify_coverage --test report
	$(CARGO) test --locked $(TESTED) --test conformance the_page

test-ec2: deps ## EC2 against moto and against a strict model of it
	$(CARGO) test --locked $(TESTED) --test ec2

test-lab: deps engine ## End-to-end tests on the lab, also with machines that EC2's API (moto) asked for; fails where there is none
	$(CARGO) test --locked $(TESTED) --test ec2_lab -- --nocapture
	$(CARGO) test --locked $(TESTED) --test lab -- --nocapture --test-threads=1 a_clusters_life crash_sample
	CASES="conditions copy handlers loops roles variables" $(CARGO) test --locked $(TESTED) --test conformance -- --nocapture

test-full: test ## Also the long matrices: killed at every boundary, the faults of verify that take minutes
	KUBEWRIGHT_TEST_FULL=1 $(CARGO) test --locked $(TESTED) --test lab -- --nocapture --test-threads=1

bench: build engine ## Side by side with what one would use instead: docs/benchmarks.md
	hack/bench-bootstrap.sh
	$(CARGO) bench --locked --features testing --bench engine

conformance: deps engine ## The playbooks of tests/conformance by ansible-core and by kubewright: recap, results, files compared
	KUBEWRIGHT_TEST_FULL=1 $(CARGO) test --locked $(TESTED) --test conformance -- --nocapture

engine: ## A Docker engine: used as it is where one answers, else installed and started (Debian, Ubuntu)
	hack/engine.sh

deps: ## Programs that the tests and the lab need
	hack/deps.sh

destroy: build ## Delete the lab's machines
	$(BIN) destroy -i $(INVENTORY) --yes

clean: ## Build products; the lab's artefact cache stays
	$(CARGO) clean
