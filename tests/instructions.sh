#!/bin/sh
# Counts the instructions that a line takes through the pipeline and the built-in detector, and fails where these are more
# than the limit in tests/instructions.txt by more than five percent: tests/instructions.sh [--update]
#
# Processors differ in what memory is searched with, which is worth a percent or two; a detour in the hot path is worth more.
# Two runs are compared, so that what a program does once does not count. Another Rust compiles to other instructions: the
# limit names the one that it is for, and with another it is only printed.
set -eu
cd "$(dirname "$0")/.."
limit=tests/instructions.txt

command -v valgrind >/dev/null || {
    echo "instructions.sh: valgrind is not here; install it (Debian: apt-get install valgrind)" >&2
    [ -z "${CI:-}" ]
    exit
}
"${CARGO:-cargo}" build --quiet --locked --release -p qualm-pipeline --example hot_path
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/hot_path "$1" 2>&1 |
        sed -n 's/.*Collected : //p'
}
few=$(count 2000)
many=$(count 12000)
each=$(((many - few) / 10000))
rust=$(rustc --version | cut -d ' ' -f 2)
echo "$each instructions a line of ten fields, with Rust $rust"
if [ "${1:-}" = --update ]; then
    echo "$rust $each" >"$limit"
    exit
fi
read -r known most <"$limit"
[ "$known" = "$rust" ] || exit 0
[ $((each * 100)) -le $((most * 105)) ] || {
    echo "instructions.sh: that is more than the $most of before by over 5 %; look at a profile, or --update with the reason" >&2
    exit 1
}
