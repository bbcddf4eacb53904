#!/bin/sh
# Builds the plugin for `make plugins`: plugins/loda/build.sh OUT.wasm
#
# Where rustup has the target this is `cargo build --release` and no more. Where it cannot have it, Debian's compiler builds
# the standard library along, and rustup's linker makes the component (guest/components/toolchain.sh installs what it needs).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/${1#"$root"/}
target=wasm32-unknown-unknown
export CARGO_TARGET_DIR="$root/target/plugins/build"
cd "$root/plugins/loda" # .cargo/config.toml counts only from here

sysroot=$(rustc --print sysroot)
if [ "${QUALM_WASM_TOOLCHAIN:-}" != debian ] && [ -d "$sysroot/lib/rustlib/$target/lib" ]; then
    "${CARGO:-cargo}" build --locked --release
else
    linkers=$sysroot/lib/rustlib/x86_64-unknown-linux-gnu/bin
    unset RUSTC_WRAPPER RUSTUP_TOOLCHAIN
    PATH=$linkers:$linkers/gcc-ld:$PATH RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc \
        /usr/bin/cargo build --locked --release -Zbuild-std=std,panic_abort
fi
mkdir -p "$(dirname "$out")"
cp "$CARGO_TARGET_DIR/$target/release/loda.wasm" "$out"
