#!/bin/sh
# Holds what comes from elsewhere against deny.toml and against RustSec's advisories: supply/check.sh CARGO_LOCK...
#
# Where the programs that do so cannot be had, that is said; in CI it is a failure.
set -eu
cd "$(dirname "$0")/.."

tools=$(tests/tools.sh supply) || { [ -z "${CI:-}" ]; exit; }
database=$(supply/advisories.sh)
"${CARGO:-cargo}" fetch --quiet --locked
"$tools/cargo-deny" --locked --offline check --hide-inclusion-graph -D warnings
for lock in "$@"; do
    "$tools/cargo-audit" audit --quiet --db "$database" --no-fetch --stale --no-yanked -D warnings --file "$lock"
done
