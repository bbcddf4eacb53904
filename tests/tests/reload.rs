//! Valid models take over under load, and invalid ones do not.

use qualm_tests::{reload, tools};

/// Twelve valid and six invalid bundles under load: no line is lost, and every vector is scored by some model.
#[test]
fn models_change_and_no_line_is_lost() {
    let Some(qualm) = tools::qualm() else { return };
    let report = reload::run(&qualm, 200_000, 18);
    assert_eq!((report.taken, report.refused), (12, 6));
    println!("{report}");
}
