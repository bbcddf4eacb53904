//! The paths of programs, and what happens where one is missing.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// The `qualm` binary.
#[must_use]
pub fn qualm() -> Option<PathBuf> {
    built("QUALM_BIN", "target/release/qualm", "the qualm binary is not built; run `make build`")
}

/// The command component, which scores lines in any host.
#[must_use]
pub fn qualm_cli_wasm() -> Option<PathBuf> {
    let hint = "the command component is not built; run `make build`";
    built("QUALM_CLI_WASM", "target/components/qualm-cli.wasm", hint)
}

/// One of the example plugins.
#[must_use]
pub fn plugin(name: &str) -> Option<PathBuf> {
    let hint = format!("the plugin {name} is not built; run `make plugins`");
    let path = workspace().join("target/plugins").join(name).with_extension("wasm");
    present(
        env::var_os("QUALM_PLUGINS_DIR").map_or(path, |dir| PathBuf::from(dir).join(name).with_extension("wasm")),
        "QUALM_PLUGINS_DIR",
        &hint,
    )
}

/// The real Telegraf.
#[must_use]
pub fn telegraf() -> Option<PathBuf> {
    fetched("TELEGRAF_BIN", "telegraf")
}

/// Telegraf's own parser of line protocol, alone: `tests/telegraf/grammar`.
#[must_use]
pub fn grammar() -> Option<PathBuf> {
    fetched("GRAMMAR_BIN", "grammar")
}

/// The library of Telegraf's filters, which prints what it matches: `tests/telegraf/globs`.
#[must_use]
pub fn globs() -> Option<PathBuf> {
    fetched("GLOBS_BIN", "globs")
}

/// A Python with scikit-learn.
#[must_use]
pub fn sklearn() -> Option<PathBuf> {
    fetched("SKLEARN_PYTHON", "sklearn")
}

/// The real `InfluxDB` 1.x.
#[must_use]
pub fn influxd() -> Option<PathBuf> {
    fetched("INFLUXD_BIN", "influxd")
}

/// The real wasmtime CLI.
#[must_use]
pub fn wasmtime() -> Option<PathBuf> {
    fetched("WASMTIME_BIN", "wasmtime")
}

/// The real Prometheus.
#[must_use]
pub fn prometheus() -> Option<PathBuf> {
    fetched("PROMETHEUS_BIN", "prometheus")
}

/// Prometheus' `promtool`, which checks metrics and rules.
#[must_use]
pub fn promtool() -> Option<PathBuf> {
    let beside = prometheus()?.with_file_name("promtool");
    present(beside, "PROMETHEUS_BIN", "there is no promtool beside Prometheus")
}

/// The real Alertmanager.
#[must_use]
pub fn alertmanager() -> Option<PathBuf> {
    fetched("ALERTMANAGER_BIN", "alertmanager")
}

/// Alertmanager's `amtool`, which checks configurations.
#[must_use]
pub fn amtool() -> Option<PathBuf> {
    let beside = alertmanager()?.with_file_name("amtool");
    present(beside, "ALERTMANAGER_BIN", "there is no amtool beside Alertmanager")
}

/// Schemathesis, which generates requests from an `OpenAPI` document.
#[must_use]
pub fn schemathesis() -> Option<PathBuf> {
    fetched("SCHEMATHESIS_BIN", "schemathesis")
}

/// A Python with the clients of `InfluxDB` 1.x, 2.x and 3.x.
#[must_use]
pub fn influx_clients() -> Option<PathBuf> {
    fetched("INFLUX_CLIENTS_PYTHON", "influx-clients")
}

/// The directory of the programs that check dependencies.
#[must_use]
pub fn supply() -> Option<PathBuf> {
    fetched("SUPPLY_BIN", "supply")
}

/// The compiler of Python to components.
#[must_use]
pub fn componentize_py() -> Option<PathBuf> {
    fetched("COMPONENTIZE_PY", "componentize-py")
}

/// The compiler of JavaScript to components.
#[must_use]
pub fn componentize_qjs() -> Option<PathBuf> {
    fetched("COMPONENTIZE_QJS", "componentize-qjs")
}

/// Whether `cargo` can compile for WebAssembly. Where rustup cannot install the target this is no failure, even in CI.
#[must_use]
pub fn wasm_target() -> bool {
    let sysroot =
        Command::new("rustc").args(["--print", "sysroot"]).output().map(|output| output.stdout).unwrap_or_default();
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot).trim());
    let is_there = sysroot.join("lib/rustlib/wasm32-unknown-unknown/lib").is_dir();
    if !is_there {
        skipped("rustup has no wasm32-unknown-unknown here", "PATH");
    }
    is_there
}

/// Node with the packages and the Chromium of the live page's test.
#[must_use]
pub fn node() -> Option<PathBuf> {
    let packages = fetched("LIVE_PACKAGES", "live")?;
    let _there = present(packages, "LIVE_PACKAGES", "its packages are gone")?;
    let _there = on_path("CHROMIUM", &["chromium", "chromium-browser", "google-chrome"])?;
    on_path("NODE_BIN", &["node", "nodejs"])
}

/// The real Vector. No package registry has its binary, and a build takes longer than all else together, so that its tests are
/// skipped without it, even in CI; recorded traffic covers the same promises.
#[must_use]
pub fn vector() -> Option<PathBuf> {
    let on_path = || env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join("vector")).find(|path| path.is_file());
    let found = env::var_os("VECTOR_BIN").map_or_else(on_path, |path| Some(PathBuf::from(path)));
    let found = found.filter(|path| path.is_file());
    if found.is_none() {
        skipped("vector is not on PATH", "VECTOR_BIN");
    }
    found
}

/// The directory of the whole project.
#[must_use]
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

fn built(variable: &str, path: &str, hint: &str) -> Option<PathBuf> {
    let path = env::var_os(variable).map_or_else(|| workspace().join(path), PathBuf::from);
    present(path, variable, hint)
}

/// Versions and paths are in `tools.sh` alone.
fn fetched(variable: &str, name: &str) -> Option<PathBuf> {
    let hint = format!("{name} is not here; run `tests/tools.sh {name}`");
    let path = if let Some(path) = env::var_os(variable) {
        PathBuf::from(path)
    } else {
        let script = workspace().join("tests/tools.sh");
        let answer = Command::new(script).args(["--where", name]).output().expect("tools.sh can be run");
        PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim())
    };
    present(path, variable, &hint)
}

/// The first of these programs that is installed.
fn on_path(variable: &str, names: &[&str]) -> Option<PathBuf> {
    let hint = format!("{} is not here; run `tests/tools.sh live`", names[0]);
    let dirs: Vec<PathBuf> = env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    let all = names.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    let found = env::var_os(variable).map(PathBuf::from).or_else(|| all.into_iter().find(|path| path.is_file()));
    present(found.unwrap_or_default(), variable, &hint)
}

fn present(path: PathBuf, variable: &str, hint: &str) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    // A skipped test must be visible.
    assert!(env::var_os("CI").is_none(), "{hint} (or set {variable})");
    skipped(hint, variable);
    None
}

fn skipped(hint: &str, variable: &str) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not `eprintln`, which the test harness captures where a test passes.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {hint} (or set {variable})");
}
