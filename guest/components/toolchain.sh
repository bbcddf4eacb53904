#!/bin/sh
# Makes sure that something can compile for wasm32-unknown-unknown: rustup's standard library for it or, where rustup
# cannot have it, Debian's compiler with the standard library's source (build.rs builds that along).
set -eu
target=wasm32-unknown-unknown
need() {
    echo "qualm: $1" >&2
    exit 1
}

command -v cargo >/dev/null || need "there is no cargo here; install Rust with rustup (https://rustup.rs), then call make again"
[ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] && exit 0
[ -x /usr/bin/cargo ] && [ -d /usr/share/doc/rust-web-src ] && exit 0
if command -v rustup >/dev/null && rustup target add $target; then
    exit 0
fi

echo "qualm: rustup cannot install $target; trying Debian's packages" >&2
packages="rustc-web cargo-web rust-web-src"
command -v apt-get >/dev/null || need "install a Rust toolchain with the target $target"
as_root=""
[ "$(id -u)" = 0 ] || as_root=sudo
[ -z "$as_root" ] || command -v sudo >/dev/null || need "as root: apt-get install $packages"
$as_root apt-get update -qq
$as_root apt-get install -y -qq --no-install-recommends $packages
