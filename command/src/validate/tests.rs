use std::fs;

use clap::Parser;

use super::*;
use crate::failure::Failure;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

#[test]
fn the_exit_code_follows_from_the_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let row = |row| format!("{},{},1\n", 1_704_067_200 + 60 * row, row * 7919 % 1009);
    fs::write(&path, format!("time,cpu,fan\n{}", (0..600).map(row).collect::<String>())).unwrap();
    let run = |file: &str, options: &[&str]| {
        let path = dir.path().join(file);
        let arguments = [&["validate", "--input", path.to_str().unwrap()], options].concat();
        run(&Cli::try_parse_from(arguments).unwrap().options).map_err(Failure::from)
    };
    run("a.csv", &[]).unwrap();
    let strict = run("a.csv", &["--strict"]).unwrap_err();
    assert_eq!(strict.exit_code(), 1);
    assert!(strict.to_string().ends_with("a.csv is not fit to train on: statistics is warning"), "{strict}");
    let short = run("a.csv", &["--min-rows", "601"]).unwrap_err();
    assert!(matches!(short, Failure::Validate(Error::ChecksFailed { .. })) && short.exit_code() == 1);
    for (file, options, message) in [
        ("none.csv", &[][..], "No such file"),
        ("a.txt", &[], "a.txt"),
        ("", &[], "must end in .lp"),
        ("a.csv", &["--max-missing", "2"], "--max-missing: `2` must be a share"),
        ("a.csv", &["--expect", "cpu"], "--expect: `cpu` must be COLUMN=FROM..TO"),
    ] {
        let error = run(file, options).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(message), "{error}");
    }
}
