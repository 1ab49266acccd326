# pgring: what a developer runs. `make help` lists the targets.

CARGO ?= cargo
DEMO_ARGS ?=
BENCH_ARGS ?=
FUZZ_CASES ?= 20000
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= startup frames messages scram lexer

.DEFAULT_GOAL := help
.PHONY: help demo test build lint fmt clippy doc unit bench bench-copy bench-planning fuzz fuzz-targets faults clean

help: ## list the targets
	@printf 'pgring\n\n'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	    printf '  make %-13s %s\n' "$$name" "$$text"; done
	@printf '\nvariables: DEMO_ARGS="--shards 8 --load"  BENCH_ARGS=…  FUZZ_CASES=20000  PGRING_PG_BIN=/path/to/postgresql/bin\n'

demo: ## a running sharded cluster on this machine (Ctrl-C stops it)
	@scripts/check-tools.sh rust postgres
	$(CARGO) build --release -p pgring
	$${CARGO_TARGET_DIR:-target}/release/pgring demo $(DEMO_ARGS)

test: lint unit ## everything: formatting, lints, documentation, all tests

lint: fmt clippy doc ## formatting, clippy and documentation, each without a warning

fmt:
	@scripts/check-tools.sh rust lint
	@printf '\n== formatting\n'
	$(CARGO) fmt --all --check

clippy:
	@printf '\n== clippy\n'
	$(CARGO) clippy --workspace --all-targets -- -D warnings

doc:
	@printf '\n== documentation\n'
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items

unit:
	@scripts/check-tools.sh rust postgres drivers
	@printf '\n== tests\n'
	$(CARGO) test --workspace

bench: ## PostgreSQL, PgBouncer and pgring side by side, as ratios
	@scripts/check-tools.sh rust postgres pgbouncer
	$(CARGO) build --release -p pgring -p pgring-bench
	$(CARGO) run --release -p pgring-bench -- $(BENCH_ARGS)

bench-copy: ## COPY FROM STDIN over four shards beside four COPYs at once, as ratios
	@scripts/check-tools.sh rust postgres
	$(CARGO) build --release -p pgring -p pgring-bench
	$(CARGO) run --release -p pgring-bench -- --copy $(BENCH_ARGS)

bench-planning: ## what it takes to plan a statement that was seen before, and one that was not
	@scripts/check-tools.sh rust
	$(CARGO) bench -p pgring-bench --bench planning

fuzz: ## every property of the parsers, the ring and the merges with FUZZ_CASES=20000 random inputs
	@scripts/check-tools.sh rust
	PROPTEST_CASES=$(FUZZ_CASES) $(CARGO) test --release --lib -p pgring-protocol -p pgring-config -p pgring-rebalancer -p pgring

fuzz-targets: ## each target of fuzz/ for FUZZ_SECONDS=60 (needs cargo-fuzz)
	@scripts/check-tools.sh rust
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { echo 'cargo-fuzz is missing: cargo install cargo-fuzz' >&2; exit 1; }
	@for target in $(FUZZ_TARGETS); do \
	    RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096 || exit 1; done

faults: ## a pgring with fault points, in target/faults
	@scripts/check-tools.sh rust
	$(CARGO) build -p pgring --features failpoints --target-dir target/faults

clean: ## remove what was built
	$(CARGO) clean
