//! `examples/sklearn/export.py` with models that have feature names, and with unusual headers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use qualm_tests::tools;
use serde_json::Value;

/// Fits forests to `user` and `system`: one with the contamination 0.01, one with 0.5; and writes rows in several ways.
const MAKE: &str = r#"
import joblib, numpy as np
from sklearn.ensemble import IsolationForest
random = np.random.RandomState(0)
rows = np.column_stack([20 + random.randn(300) * 4, 10 + random.randn(300)])
for name, share in [("plain", 0.01), ("half", 0.5)]:
    model = IsolationForest(n_estimators=10, random_state=0, contamination=share).fit(rows)
    model.feature_names_in_ = np.array(["user", "system"], dtype=object)
    joblib.dump(model, name + ".joblib")
def write(name, header, columns, encoding="utf-8"):
    with open(name + ".csv", "w", encoding=encoding) as file:
        file.write(header + "\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows[:, columns].tolist()))
write("right", "user,system", [0, 1])
write("swapped", "system,user", [1, 0])
write("bom", "user,system", [0, 1], "utf-8-sig")
write("unknown", "usr,system", [0, 1])
write("missing", "user", [0])
write("more", "user,system,idle", [0, 1, 1])
write("twice", "user,user", [0, 1])
"#;

fn python(python: &Path, directory: &Path, arguments: &[&str]) -> Output {
    Command::new(python).args(arguments).current_dir(directory).output().unwrap()
}

#[test]
fn columns_are_matched_by_the_models_names() {
    let Some(interpreter) = tools::sklearn() else { return };
    let site = tempfile::tempdir().unwrap();
    let made = python(&interpreter, site.path(), &["-c", MAKE]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let script = tools::workspace().join("examples/sklearn/export.py");
    let export = |model: &str, rows: &str| -> Result<Value, String> {
        let (model, rows) = (format!("{model}.joblib"), format!("{rows}.csv"));
        let arguments = [script.to_str().unwrap(), &model, "out.json", "--rows", &rows];
        let output = python(&interpreter, site.path(), &arguments);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(serde_json::from_slice(&fs::read(site.path().join("out.json")).unwrap()).unwrap())
    };
    let right = export("plain", "right").unwrap();
    assert_eq!(right["features"], serde_json::json!(["user", "system"]));
    assert!(export("plain", "swapped").unwrap() == right && export("plain", "bom").unwrap() == right);
    for (rows, why) in [
        ("unknown", "lacks 'user'"),
        ("missing", "lacks 'system'"),
        ("more", "know, 'idle'"),
        ("twice", "twice 'user'"),
    ] {
        let error = export("plain", rows).unwrap_err();
        assert!(error.contains(why), "{rows}: {error}");
    }
    let half = export("half", "right").unwrap();
    assert!(
        half["ordinary"].as_f64() > half["offset"].as_f64(),
        "half of the rows are ordinary, and the median is not"
    );
    let without = python(&interpreter, site.path(), &[script.to_str().unwrap(), "plain.joblib", "out.json"]);
    assert!(!without.status.success() && String::from_utf8_lossy(&without.stderr).contains("--rows"));
}
