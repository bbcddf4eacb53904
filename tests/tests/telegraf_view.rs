//! Telegraf reads the same metrics from qualm as from `cat`.

use std::path::Path;

use qualm_tests::{Site, Telegraf, config, fixtures, tools, until};

const EVERYTHING: &str = "{ measurement = \"*\" }";

/// Enough rounds for the series in the fixtures to warm up.
const ROUNDS: u64 = 30;

/// Telegraf's own parser reads the same from qualm's output as from `cat`'s, of valid and invalid lines.
#[test]
fn telegraf_parses_qualms_output_like_cats() {
    let (Some(telegraf), Some(qualm)) = (tools::telegraf(), tools::qualm()) else { return };
    let mut input =
        fixtures::rounds(&[fixtures::ODDITIES, fixtures::NO_TIMESTAMP, fixtures::MALFORMED].concat(), ROUNDS);
    input.extend(fixtures::long_lines());
    input.extend_from_slice(THE_END);
    input.extend_from_slice(fixtures::UNTERMINATED);

    // Telegraf cannot send such lines: the shell does, and then waits until Telegraf closes the pipe.
    let from_cat = read_by_telegraf(&telegraf, &input, "", |_, input| shell(&format!("cat {input}")));
    let from_qualm = read_by_telegraf(&telegraf, &input, "", |site, input| {
        let config = site.quick_config(EVERYTHING);
        shell(&format!("{} execd --config {} < {input}", qualm.display(), config.display()))
    });

    assert!(from_cat.refused > 0, "Telegraf refused nothing; the fixture is not what it says");
    assert!(from_qualm.verdicts > 0, "nothing was scored");
    assert_same_text(&from_qualm.metrics, &from_cat.metrics);
    assert_eq!(from_qualm.refused, from_cat.refused, "lines that Telegraf refused");
}

/// End to end: Telegraf reads the file, passes its metrics to qualm, and writes those that it gets back.
#[test]
fn telegraf_gets_the_same_metrics_from_qualm_and_cat() {
    let (Some(telegraf), Some(qualm)) = (tools::telegraf(), tools::qualm()) else { return };
    // No malformed lines: for one of them, `inputs.file` discards the whole file.
    let mut input = fixtures::rounds(&[fixtures::ODDITIES, fixtures::NO_TIMESTAMP].concat(), ROUNDS);
    input.extend(fixtures::long_lines());
    input.extend_from_slice(THE_END);

    let site = Site::new();
    let source = config::from_file(&site.write("input.lp", &input)) + "interval = \"1h\"\n";
    let from_cat = read_by_telegraf(&telegraf, &input, &source, |_, _| vec!["cat".to_owned()]);
    let from_qualm = read_by_telegraf(&telegraf, &input, &source, |site, _| {
        let config = site.quick_config(EVERYTHING);
        vec![qualm.display().to_string(), "execd".to_owned(), "--config".to_owned(), config.display().to_string()]
    });

    assert!(from_qualm.verdicts > 0, "nothing was scored");
    assert_same_text(&from_qualm.metrics, &from_cat.metrics);
}

/// Telegraf writes metrics in the order in which it got them, so once this one is there, all are.
const THE_END: &[u8] = b"the_end value=1.5 1\n";

/// Removes the verdicts in Telegraf, and adds a field `verdict` for each. A time that Telegraf generated becomes 0.
const REMOVE_VERDICTS: &str = r#"
[[processors.starlark]]
order = 2
source = '''
def apply(metric):
    if metric.name == "no_timestamp":
        metric.time = 0
    if metric.name == "scored_upstream" or "anomaly_score" not in metric.fields:
        return metric
    for key in ["anomaly_score", "is_anomaly", "anomaly_cause", "anomaly_reason"]:
        metric.fields.pop(key, None)
    verdict = Metric("verdict")
    verdict.fields["n"] = 1
    return [metric, verdict]
'''
"#;

/// The metrics that Telegraf read.
struct Read {
    metrics: Vec<u8>,
    verdicts: usize,
    refused: usize,
}

fn read_by_telegraf(
    telegraf: &Path,
    input: &[u8],
    source: &str,
    command: impl FnOnce(&Site, &str) -> Vec<String>,
) -> Read {
    let site = Site::new();
    let input = site.write("input.lp", input);
    let command = command(&site, &input.to_string_lossy());
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    // Telegraf does not start without an input.
    let idle = "[[inputs.mock]]\nmetric_name = \"idle\"\nnamedrop = [\"idle\"]\n";
    let conf = config::execd(&words)
        + REMOVE_VERDICTS
        + &config::to_file(&site.path("metrics.lp"))
        + "namedrop = [\"verdict\"]\n"
        + &config::to_file(&site.path("verdicts.lp"))
        + "namepass = [\"verdict\"]\n"
        + idle
        + source;
    let running = Telegraf::start(telegraf, &site, &conf);
    until("the last metric", || site.read("metrics.lp").windows(8).any(|window| window == b"the_end "));
    running.stop();
    let refused = site.read_text("telegraf.log").matches("metric parse error").count();
    Read { metrics: site.read("metrics.lp"), verdicts: site.read_text("verdicts.lp").lines().count(), refused }
}

/// Runs `command`, then waits until Telegraf closes its pipe.
fn shell(command: &str) -> Vec<String> {
    vec!["sh".to_owned(), "-c".to_owned(), format!("{command}; exec cat > /dev/null")]
}

/// Like `assert_eq`, but shows the first line that differs instead of megabytes.
fn assert_same_text(ours: &[u8], theirs: &[u8]) {
    let lines = |text: &[u8]| -> Vec<String> {
        text.split(|&byte| byte == b'\n').map(|line| line.escape_ascii().to_string()).collect()
    };
    let (ours, theirs) = (lines(ours), lines(theirs));
    for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert!(ours == theirs, "line {n}\n  with qualm: {ours:.300}\n  with cat:   {theirs:.300}");
    }
    assert_eq!(ours.len(), theirs.len(), "lines");
}
