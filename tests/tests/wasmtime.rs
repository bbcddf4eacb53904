//! The command component under the plain `wasmtime` CLI gives the same bytes as `qualm execd`.

use qualm_tests::{fixtures, run, tools, unsplice};

#[test]
fn the_wasmtime_cli_gives_the_same_bytes_as_qualm() {
    let (Some(qualm), Some(component), Some(wasmtime)) = (tools::qualm(), tools::qualm_cli_wasm(), tools::wasmtime())
    else {
        return;
    };
    // Lines with timestamps: without one, the time of arrival counts, which differs from run to run.
    let mut history = String::new();
    fixtures::spike(&mut history, 1_000);
    let oddities = fixtures::rounds(&[fixtures::ODDITIES, fixtures::MALFORMED].concat(), 100);
    let input = [history.as_bytes(), &oddities, &fixtures::long_lines(), fixtures::UNTERMINATED].concat();

    let host = run(&qualm, &["execd"], &input);
    let plain = run(&wasmtime, &["run", component.to_str().expect("a path in UTF-8")], &input);
    assert!(host.status.success(), "{}", host.stderr);
    assert!(plain.status.success(), "{}", plain.stderr);

    let scores = unsplice(&input, &plain.stdout).unwrap_or_else(|parting| panic!("{parting}"));
    assert!(scores.iter().any(|splice| splice.is_anomaly), "the spike was not found");
    let differs = host.stdout.iter().zip(&plain.stdout).position(|(host, plain)| host != plain);
    assert_eq!(differs, None, "the first byte in which qualm and plain wasmtime differ");
    assert_eq!(host.stdout.len(), plain.stdout.len(), "bytes");
}
