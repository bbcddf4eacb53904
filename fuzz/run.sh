#!/bin/sh
# Runs the fuzzer on targets, one after another, so many seconds each: fuzz/run.sh SECONDS TARGET...
#
# It starts from fuzz/corpus and works in target/fuzz/work. In the end the fewest inputs that reach as much code take the place of
# the corpus. What breaks a promise lands in target/fuzz/found, and is an error.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift

export RUSTC_BOOTSTRAP=1 # the sanitizer's options are nightly's
cargo fuzz build --fuzz-dir fuzz/libfuzzer --target-dir target/fuzz
[ ! -d /dev/shm ] || export TMPDIR=/dev/shm # one target writes files, and waits for the disk otherwise
mkdir -p target/fuzz/found
for target in "$@"; do
    program=$(find target/fuzz/*/release -maxdepth 1 -name "$target" -type f)
    corpus=fuzz/corpus/$target
    work=target/fuzz/work/$target
    rm -rf "$work" "$work.least"
    mkdir -p "$work" "$work.least"
    echo "$target: $seconds s"
    "$program" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=30 -max_len=8192 -print_final_stats=1 \
        -artifact_prefix="target/fuzz/found/$target-" "$work" "$corpus" >"target/fuzz/$target.log" 2>&1 ||
        { tail -n 40 "target/fuzz/$target.log"; exit 1; }
    grep -E '^stat::(number_of_executed_units|average_exec_per_sec)' "target/fuzz/$target.log"
    "$program" -set_cover_merge=1 -use_counters=0 -rss_limit_mb=2048 -timeout=30 -max_len=8192 "$work.least" "$corpus" "$work" 2>/dev/null
    rm -rf "$corpus"
    mv "$work.least" "$corpus"
done
