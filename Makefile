# The everyday commands. `make run` needs Rust and a C compiler, nothing else; with npm it has the page, too.

CARGO ?= cargo

.PHONY: run page test test-fast test-page test-sim test-dapr chaos attacks bench real-model lint fmt

## Serves everything in one process on http://127.0.0.1:8080
run:
	scripts/page-build --optional
	$(CARGO) run --release -p callboard -- dev

## The page alone, into web/dist
page:
	scripts/page-build

## All tests, fast ones first; then daprd, placement, scheduler, Redis and a Python client run; the simulator is last
test: test-fast test-page test-dapr test-sim

# Always the whole workspace: another selection of packages would build the dependencies again, with other features.
test-fast:
	$(CARGO) test --locked --workspace --lib --bins
	$(CARGO) test --locked --workspace --doc

# The page: lints, types, units, its size, and a person at it in a browser.
test-page:
	scripts/page-test

# They measure, and they take all of the machine that they can: nothing else runs beside them.
MEASURED = attacks::limits attacks::senders attacks::clocks e2e::triggers::a_thousand

test-dapr:
	scripts/dapr-build
	scripts/redis-ensure
	scripts/postgres-ensure
	scripts/python-ensure
	scripts/node-ensure
	scripts/browser-ensure
	scripts/clock-ensure
	scripts/manifests-ensure
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --workspace --test it -- --test-threads 4 $(addprefix --skip ,$(MEASURED))
	$(CARGO) test --locked --workspace --test it -- --test-threads 1 $(MEASURED)

# Seeds and mutants of the shipped turn in simulated time. It has a build of its own: optimized, and with switches that
# no other build may have.
test-sim:
	$(CARGO) test --locked --profile sim -p callboard-sim --features mutants --test sim

## The long campaigns of faults; a short part of each is in `make test`
chaos:
	scripts/dapr-build
	scripts/redis-ensure
	scripts/postgres-ensure
	$(CARGO) build --locked --workspace --bins
	CALLBOARD_CHAOS=full $(CARGO) test --locked --workspace --test it chaos -- --test-threads 1 --nocapture
	CALLBOARD_CATALOG=full $(CARGO) test --locked --workspace --test it conformance::postgres -- --test-threads 1 --nocapture

## The long attacks, with the bounds of a release; a short part of each is in `make test`
attacks:
	scripts/dapr-build
	scripts/redis-ensure
	scripts/browser-ensure
	scripts/clock-ensure
	$(CARGO) build --release --locked -p callboard
	$(CARGO) build --locked --workspace --bins
	CALLBOARD_ATTACKS=full $(CARGO) test --locked --workspace --test it attacks -- --test-threads 1 --nocapture --include-ignored

## Steps per second, latency, memory and cost per step, embedded and beside daprd with Redis
bench:
	scripts/dapr-build
	scripts/redis-ensure
	$(CARGO) build --release --locked -p callboard
	$(CARGO) bench --locked -p callboard-tests --bench callboard

## Texts, a structure and a tool by a small real model behind two makes of servers; compiles one the first time
real-model:
	scripts/real-model

## Format, lints, dependencies
lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	scripts/deny

fmt:
	$(CARGO) fmt --all
