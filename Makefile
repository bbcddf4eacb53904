# Everything starts here. Each target installs what it needs; the only thing to bring along is Rust (rustup's stable).

CARGO ?= cargo
TOOLS := tests/tools.sh
PLUGINS := target/plugins
WIT := wit/detection.wit
COMMA := ,
# Where the labelled metrics and their scorer are, which a clone does not have.
QUALITY ?= ../shared/quality
# All that is compiled of crates from elsewhere.
LOCKS := Cargo.lock plugins/loda/Cargo.lock fuzz/libfuzzer/Cargo.lock
# For how long each target is fuzzed, and how long the soak lasts, in seconds.
FUZZ_SECONDS ?= 600
SOAK_SECONDS ?= 3600

# The crates whose tests need no peer.
CRATES := qualm-contract qualm-core qualm-pipeline qualm-vector-codec qualm-components qualm-system qualm-sandbox \
	qualm-bundle qualm-drift qualm-offline qualm-neural qualm-http qualm qualm-command qualm-fuzz
UNIT := $(addprefix -p ,$(CRATES))
# Those that are documented: what stands in the command is the text of its help.
DOCUMENTED := $(addprefix -p ,$(filter-out qualm-command,$(CRATES)))

.PHONY: build plugins demo test instructions lint typos msrv supply advisories sbom unit e2e fuzz soak page lead-time bench quality rivals tune toolchain clean

# All is built with the same profile and the same set of packages, so that wasmtime is compiled once.
# The release binary is target/release/qualm, the components are target/components/*.wasm.
build: toolchain
	$(CARGO) build --locked --release
	@target/release/qualm-components target/components

# The plugins that others may copy, in Rust, Python and JavaScript; each README.md says how to build it without this.
plugins: $(PLUGINS)/loda.wasm $(PLUGINS)/leak.wasm $(PLUGINS)/flatline.wasm

LODA := $(addprefix plugins/loda/,build.sh .cargo/config.toml Cargo.toml Cargo.lock src/lib.rs src/loda.rs)
$(PLUGINS)/loda.wasm: $(LODA) $(WIT) | toolchain
	plugins/loda/build.sh $@

$(PLUGINS)/leak.wasm: plugins/leak/detection.py $(WIT)
	@mkdir -p $(PLUGINS)
	$$($(TOOLS) componentize-py) -d wit -w plugin componentize -p plugins/leak detection -o $@

$(PLUGINS)/flatline.wasm: plugins/flatline/flatline.js plugins/flatline/package-lock.json $(WIT)
	@mkdir -p $(PLUGINS)
	$$($(TOOLS) componentize-qjs) -w wit -n plugin -j plugins/flatline/flatline.js -o $@ --sync

# See it find real incidents. What trains networks is built only where it was built before: it takes a quarter of the time.
DEEP_BUILT := $(wildcard target/release/deps/libburn_tensor-*.rlib)
demo: toolchain
	$(CARGO) build --locked --release $(if $(DEEP_BUILT),,-p qualm-command --no-default-features --features serve$(COMMA)history)
	target/release/qualm demo

test: lint unit instructions e2e

lint: toolchain
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path plugins/loda/Cargo.toml --check
	$(CARGO) fmt --manifest-path fuzz/libfuzzer/Cargo.toml --check
	$(CARGO) clippy --locked --release --workspace --all-targets -- -D warnings
	# The agent alone, without the features `serve` and `history`, has no HTTP service and no training in it.
	$(CARGO) clippy --locked --release -p qualm-command --no-default-features -- -D warnings
	! $(CARGO) tree --locked -p qualm-command --no-default-features -e normal | grep -E ' (hyper|tokio|qualm-http|qualm-offline) '
	# Rooms lead through their private modules too.
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' $(CARGO) doc --locked --release --no-deps --quiet $(DOCUMENTED)
	$(MAKE) typos msrv supply

# Words that are misspelt; typos.toml has those that are meant to be.
typos:
	tools=$$($(TOOLS) supply) || [ -z "$$CI" ] || exit 1; [ -z "$$tools" ] || "$$tools/typos" --format brief

# The oldest Rust that Cargo.toml promises. Where that is the Rust in use, all of CI is the test.
msrv:
	@oldest=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); \
	rustc --version | grep -q "^rustc $$oldest\." || $(CARGO) +$$oldest check --locked --workspace --exclude qualm-detector --exclude qualm-cli --exclude qualm-hostile --exclude qualm-flawed

# Whether what comes from elsewhere may come in: deny.toml says what may. Costs seconds. The advisories are those of today
# where their repository can be reached, else the copy in supply/advisories, and it says which.
supply:
	CARGO=$(CARGO) supply/check.sh $(LOCKS)

# What the program and its components are made of, as CycloneDX has it; checked against its schema and against cargo.
sbom: toolchain
	$$($(TOOLS) cyclonedx) supply/sbom.py target/sbom.cdx.json

# Renews the copy of the advisories; CLONE=DIR takes them from a clone of their repository.
advisories:
	supply/advisories.sh --renew $(CLONE)

unit: toolchain
	$(TOOLS) minisign || [ -z "$$CI" ] # without it, what it would be compared with is skipped
	$(TOOLS) prometheus || [ -z "$$CI" ] # likewise
	$(CARGO) test --config tests/overflow-checks.toml --locked --release $(UNIT)

# How many instructions a line takes: fails where these have become more.
instructions: toolchain
	$(TOOLS) valgrind || [ -z "$$CI" ]
	tests/instructions.sh

# The real peers: Telegraf from its Go module, InfluxDB, Prometheus and Alertmanager from Debian, the wasmtime CLI from crates.io,
# schemathesis, InfluxDB's clients and componentize-py from PyPI, componentize-qjs from npm, Chromium for the live page; kept in
# target/tools.
# What cannot be had is said, and its tests are skipped; in CI that is a failure.
e2e: build
	for tool in telegraf grammar globs influxd wasmtime prometheus alertmanager sklearn schemathesis influx-clients live componentize-py componentize-qjs supply; do $(TOOLS) $$tool || [ -z "$$CI" ] || exit 1; done
	$(MAKE) plugins || [ -z "$$CI" ]
	$(CARGO) test --locked --release -p qualm-tests

# Ten million generated lines, read as Telegraf's own parser reads them, which takes a few minutes; then an hour of mixed load
# with injected faults. It fails where a line is lost, changed or out of order. Another GRAMMAR_SEED, SOAK_SEED has others.
soak: build
	$(TOOLS) grammar
	GRAMMAR_LINES=10000000 $(CARGO) test --locked --release -p qualm-tests --test grammar
	SOAK_SECONDS=$(SOAK_SECONDS) $(CARGO) run --locked --release -p qualm-tests --example soak

# Looks for bytes that break a promise, for each target in turn; what is new and worth keeping goes into fuzz/corpus, which
# `make unit` replays. Takes two hours. TARGET=line has one alone; stable Rust does, with nightly's options.
TARGET ?= line native_json native archive manifest safetensors reference rows state config request
fuzz: toolchain
	PATH=$$($(TOOLS) supply):$$PATH fuzz/run.sh $(FUZZ_SECONDS) $(TARGET)

# The live page in Chromium, with data from a stand-in; `node tests/live/page.mjs --url URL` asks a running qualm.
# Its pictures land in target/live.
page:
	node tests/live/page.mjs

# Eight simulated weeks of drift with models that stay and models that are trained again, for docs/drift.md; takes three minutes.
lead-time: build
	$(CARGO) run --locked --release -p qualm-tests --example lead_time

bench: build plugins
	$(CARGO) bench --locked -p qualm --bench pieces
	$(CARGO) bench --locked -p qualm --bench sandbox
	SKLEARN_PYTHON=$$($(TOOLS) sklearn) $(CARGO) bench --locked -p qualm --bench trained
	$(CARGO) bench --locked -p qualm-tests --bench process
	$(CARGO) bench --locked -p qualm-tests --bench serve # beside Vector too, where VECTOR_BIN names one
	$(CARGO) bench --locked -p qualm-tests --bench reload
	$(CARGO) bench --locked -p qualm-tests --bench plugins

# Scores labelled metrics, writes docs/quality.md; takes half an hour. QUALM_BIN=FILE measures another binary.
quality:
	@QUALITY='$(QUALITY)' tests/quality/run.sh --check
	$(if $(QUALM_BIN),,$(MAKE) build)
	$(if $(QUALM_BIN),,$(CARGO) bench --locked -p qualm --bench pieces -- 'rows of streaming.*1000 a batch')
	QUALITY='$(QUALITY)' QUALM_BIN='$(QUALM_BIN)' tests/quality/run.sh

# Scores the same metrics with other detectors, for docs/quality.md; takes an hour, and needs java, javac and mvn.
rivals:
	@QUALITY='$(QUALITY)' tests/quality/run.sh --check
	QUALITY='$(QUALITY)' tests/quality/run.sh --rivals

# Measures the streaming detector natively, as it is, with one part less at a time, and on sets that its constants were
# not chosen on: writes tests/quality/ablation.json and nested.json, for docs/quality.md; takes minutes.
tune:
	@QUALITY='$(QUALITY)' tests/quality/run.sh --check
	QUALITY='$(QUALITY)' tests/quality/run.sh --pack
	for what in table ablation nested; do $(CARGO) run --quiet --locked --release -p qualm-core --example quality -- $$what target/quality/packed || exit 1; done

toolchain:
	@guest/components/toolchain.sh

clean:
	$(CARGO) clean
