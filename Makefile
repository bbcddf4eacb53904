# Everything starts here. Each target installs what it needs; the only thing to bring along is Rust (rustup's stable).

CARGO ?= cargo
TOOLS := tests/tools.sh

.PHONY: build demo test lint unit e2e bench toolchain clean

# The release binary is target/release/qualm, the components are target/components/*.wasm.
build: toolchain
	$(CARGO) build --locked --release -p qualm
	@$(CARGO) run --locked --release --quiet -p qualm-components -- target/components

# See it find real incidents.
demo: build
	target/release/qualm demo

test: lint unit e2e

lint: toolchain
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --release --workspace --all-targets -- -D warnings

# One profile for all that is built, so that wasmtime is compiled once; and its compiler is slow in debug builds.
unit: toolchain
	$(CARGO) test --locked --release --workspace --exclude qualm-tests

# The real peers: Telegraf from its Go module, InfluxDB from Debian, the wasmtime CLI from crates.io; kept in target/tools.
e2e: build
	$(TOOLS) telegraf
	$(TOOLS) influxd
	$(TOOLS) wasmtime
	$(CARGO) test --locked --release -p qualm-tests

bench: build
	$(CARGO) bench --locked -p qualm --bench pieces
	$(CARGO) bench --locked -p qualm-tests --bench process

toolchain:
	@guest/components/toolchain.sh

clean:
	$(CARGO) clean
