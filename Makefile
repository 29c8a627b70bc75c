# The everyday commands. `make run` needs Rust and nothing else.

CARGO ?= cargo
# The crates whose tests need no other program, from the inside out.
FAST := core catalog connectors sidecar actors
PACKAGES := $(foreach crate,$(FAST),-p callboard-$(crate)) -p callboard

.PHONY: run test test-fast test-dapr real-model lint fmt

## Serves everything in one process on http://127.0.0.1:8080
run:
	$(CARGO) run --release -p callboard -- dev

## All tests, fast ones first; the last ones run daprd, placement, scheduler and Redis
test: test-fast test-dapr

test-fast:
	$(CARGO) test --locked $(PACKAGES)

test-dapr:
	scripts/dapr-build
	scripts/redis-ensure
	$(CARGO) build --locked -p callboard
	$(CARGO) test --locked -p callboard-tests

## The four-agent example with a small real model on this machine; compiles its server the first time
real-model:
	scripts/real-model

## Format, lints, dependencies
lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	scripts/deny

fmt:
	$(CARGO) fmt --all
