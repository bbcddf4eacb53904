use std::fs;
use std::path::Path;

use super::*;
use crate::failure::Failure;

fn options(input: &Path) -> Options {
    Options {
        input: input.to_owned(),
        measurement: None,
        max_missing: 0.2,
        max_outliers: 0.02,
        min_rows: 500,
        expect: Vec::new(),
        strict: false,
        json: false,
    }
}

/// Something between 0 and 1 that looks like noise.
fn noise(at: usize) -> f64 {
    let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as f64 / u64::MAX as f64
}

#[test]
fn the_exit_code_says_what_came_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let rows: String = (0..600).map(|row| format!("{},{},1\n", 1_704_067_200 + 60 * row, noise(row))).collect();
    fs::write(&path, format!("time,cpu,fan\n{rows}")).unwrap();
    let run = |options: Options| run(&options).map_err(Failure::from);
    run(options(&path)).unwrap();
    let strict = run(Options { strict: true, ..options(&path) }).unwrap_err();
    assert_eq!(strict.exit_code(), 1);
    assert!(strict.to_string().ends_with("a.csv is not fit to train on: statistics is warning"), "{strict}");
    let few = run(Options { min_rows: 601, ..options(&path) }).unwrap_err();
    assert!(matches!(few, Failure::Validate(Error::Wanting { .. })) && few.exit_code() == 1);
    for (options, what) in [
        (options(&dir.path().join("none.csv")), "No such file"),
        (options(&dir.path().join("a.txt")), "a.txt"),
        (options(dir.path()), "must end in .lp"),
        (Options { max_missing: 2.0, ..options(&path) }, "--max-missing: `2` must be a share"),
        (Options { expect: vec!["cpu".to_owned()], ..options(&path) }, "--expect: `cpu` must be COLUMN=FROM..TO"),
    ] {
        let error = run(options).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(what), "{error}");
    }
}
