//! Compiles guest crates for `wasm32-unknown-unknown` and makes components of them: for the build scripts of the crates that
//! embed these.
//!
//! rustup's standard library for the target is used where it is installed. Where it is not, Debian's packages
//! `rustc-web cargo-web rust-web-src` are: a compiler with the standard library's source, built along.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use wit_component::ComponentEncoder;

const TARGET: &str = "wasm32-unknown-unknown";

/// Makes a component of each of these packages, as `PACKAGE.wasm` in `OUT_DIR`. `sources` are what they are made of, from the
/// workspace's root; a change in them builds anew.
///
/// # Errors
///
/// What failed, and where.
pub fn components(packages: &[&str], sources: &[&str]) -> Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for source in sources.iter().chain(&["wit", "Cargo.toml", "Cargo.lock"]) {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    println!("cargo::rerun-if-env-changed=QUALM_WASM_TOOLCHAIN");
    compile(packages, &root, &out)?;
    for package in packages {
        let component = encode(&out, package).with_context(|| format!("making a component of {package}"))?;
        fs::write(out.join(format!("{package}.wasm")), component)?;
    }
    Ok(())
}

/// Runs cargo for the guests, in a target directory of their own: the outer cargo holds the lock of the other.
fn compile(packages: &[&str], root: &Path, out: &Path) -> Result<()> {
    let mut cargo = toolchain()?;
    cargo.current_dir(root).args(["build", "--locked", "--profile", "guest", "--target", TARGET]);
    cargo.arg("--target-dir").arg(out.join("target"));
    for package in packages {
        cargo.args(["--package", package]);
    }
    // What the outer cargo set for the host's compilation must not reach the guest's.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let prefix = ["CARGO_ENCODED", "CARGO_PROFILE", "CARGO_CFG"].iter().any(|prefix| text.starts_with(prefix));
        if prefix || text == "RUSTFLAGS" || text == "RUSTC_WORKSPACE_WRAPPER" {
            cargo.env_remove(name);
        }
    }
    let status = cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "-Ctarget-feature=+simd128").status();
    let status = status.with_context(|| format!("running {cargo:?}"))?;
    ensure!(status.success(), "compiling the components failed; `make toolchain` installs what it needs");
    Ok(())
}

/// The cargo to compile with: rustup's if it has the target, else Debian's.
fn toolchain() -> Result<Command> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = Command::new(&rustc).args(["--print", "sysroot"]).output().context("running rustc")?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    let debian = env::var_os("QUALM_WASM_TOOLCHAIN").is_some_and(|which| which == "debian");
    if !debian && sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
        return Ok(Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())));
    }
    let lld = sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld");
    let mut cargo = Command::new("/usr/bin/cargo");
    cargo.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc");
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", lld);
    for name in ["RUSTC_WRAPPER", "RUSTUP_TOOLCHAIN", "RUSTDOC"] {
        cargo.env_remove(name);
    }
    Ok(cargo)
}

/// The component of a compiled module; a section of the module, which the bindings wrote, has the contract.
fn encode(out: &Path, package: &str) -> Result<Vec<u8>> {
    let module = out.join("target").join(TARGET).join("guest").join(format!("{}.wasm", package.replace('-', "_")));
    let module = fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}
