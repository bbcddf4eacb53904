//! The folders of `qualm plugin new` build with the tools that they name, and pass `qualm plugin check`.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use qualm_tests::tools;
use serde_json::Value;

/// Makes a folder, builds it with these variables set, and has it checked.
fn made_built_and_checked(lang: &str, features: usize, variables: &[(&str, &OsStr)]) {
    let Some(qualm) = tools::qualm() else { return };
    let dir = tempfile::tempdir().expect("a directory can be made");
    let new = ["plugin", "new", "--lang", lang, "disk-pressure", "--features", &features.to_string()];
    run(Command::new(&qualm).args(new).current_dir(dir.path()));
    let folder = dir.path().join("disk-pressure");

    let mut make = Command::new("make");
    make.current_dir(&folder).env_remove("MAKEFLAGS");
    for (name, value) in variables {
        let mut set = std::ffi::OsString::from(name);
        set.push("=");
        set.push(value);
        make.arg(set);
    }
    run(&mut make);

    let check = |parameters: &str| {
        let mut check = Command::new(&qualm);
        check.args(["plugin", "check", "disk-pressure.wasm", "--json", "--parameters", parameters]);
        check.current_dir(&folder);
        check
    };
    let report = run(&mut check("{\"warm_up\": 30}"));
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["good"], true, "{report:#}");
    let described = report["checks"].as_array().expect("checks").iter().find(|row| row["check"] == "description");
    let described = described.expect("it is described");
    assert_eq!(described["figures"]["features"], features as f64);
    assert!(
        described["measured"].as_str().is_some_and(|text| text.starts_with("disk-pressure, version 1")),
        "{described}"
    );
    let imports = report["checks"][0]["measured"].as_str().unwrap_or_default();
    // Output of Python and JavaScript goes through WASI to the log: it must show where an exception comes from.
    assert_eq!(imports.contains("WASI"), lang != "rust", "it imports {imports}");

    let misspelt = check("{\"warmup\": 30}").output().expect("it can be run");
    assert_eq!(misspelt.status.code(), Some(1), "{}", String::from_utf8_lossy(&misspelt.stdout));
    assert!(!is_made_again(&qualm, dir.path(), lang), "what is there is never overwritten");
}

fn is_made_again(qualm: &Path, dir: &Path, lang: &str) -> bool {
    let again = Command::new(qualm).args(["plugin", "new", "--lang", lang, "disk-pressure"]).current_dir(dir).output();
    again.expect("it can be run").status.code() != Some(2)
}

/// Runs a program that must succeed, and returns what it printed.
fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?} ended with {}\n{out}\n{err}", done.status);
    out.into_owned()
}

#[test]
fn in_rust() {
    if tools::wasm_target() {
        made_built_and_checked("rust", 3, &[]);
    }
}

#[test]
fn in_python() {
    if let Some(tool) = tools::componentize_py() {
        made_built_and_checked("python", 1, &[("COMPONENTIZE_PY", tool.as_os_str())]);
    }
}

#[test]
fn in_javascript() {
    if let Some(tool) = tools::componentize_qjs() {
        made_built_and_checked("js", 3, &[("COMPONENTIZE_QJS", tool.as_os_str())]);
    }
}
