//! Compiles the guest crates for `wasm32-unknown-unknown` and makes components of them.
//!
//! rustup's standard library for the target is used where it is installed. Where it is not, Debian's packages
//! `rustc-web cargo-web rust-web-src` are: a compiler with the standard library's source, built along.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

/// What becomes a component.
const PACKAGES: [&str; 3] = ["qualm-detector", "qualm-cli", "qualm-hostile"];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for source in ["guest", "plugins/hostile", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    println!("cargo::rerun-if-env-changed=QUALM_WASM_TOOLCHAIN");
    compile(&root, &out);
    for package in PACKAGES {
        fs::write(out.join(format!("{package}.wasm")), encode(&out, package)).expect("OUT_DIR can be written to");
    }
}

/// Runs cargo for the guests, in a target directory of their own: the outer cargo holds the lock of the other.
fn compile(root: &Path, out: &Path) {
    let mut cargo = toolchain();
    cargo
        .current_dir(root)
        .args(["build", "--locked", "--profile", "guest", "--target", TARGET])
        .arg("--target-dir")
        .arg(out.join("target"));
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    // What the outer cargo set for the host's compilation must not reach the guest's.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_ENCODED")
            || name.starts_with("CARGO_PROFILE")
            || name.starts_with("CARGO_CFG")
            || name == "RUSTFLAGS"
            || name == "RUSTC_WORKSPACE_WRAPPER"
        {
            cargo.env_remove(name);
        }
    }
    let status = cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "-Ctarget-feature=+simd128").status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "compiling the components failed ({status:?}); `make toolchain` installs what it needs"
    );
}

/// The cargo to compile with: rustup's if it has the target, else Debian's.
fn toolchain() -> Command {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = Command::new(&rustc).args(["--print", "sysroot"]).output().expect("rustc runs");
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    let debian = env::var_os("QUALM_WASM_TOOLCHAIN").is_some_and(|which| which == "debian");
    if !debian && sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
        return Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    }
    let lld = sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    let mut cargo = Command::new("/usr/bin/cargo");
    cargo.args(["-Zbuild-std=std,panic_abort"]);
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", "/usr/bin/rustc")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", lld);
    for name in ["RUSTC_WRAPPER", "RUSTUP_TOOLCHAIN", "RUSTDOC"] {
        cargo.env_remove(name);
    }
    cargo
}

/// The component of a compiled module; the module itself tells the contract, in a section that the bindings wrote.
fn encode(out: &Path, package: &str) -> Vec<u8> {
    let module = out.join("target").join(TARGET).join("guest").join(format!("{}.wasm", package.replace('-', "_")));
    let module = fs::read(&module).unwrap_or_else(|error| panic!("{}: {error}", module.display()));
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .unwrap_or_else(|error| panic!("{package} is no component: {error:?}"))
}
