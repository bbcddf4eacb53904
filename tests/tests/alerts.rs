//! The shipped alert rules, evaluated by the real `promtool` on the output of the real qualm during an incident.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use qualm_tests::{Site, run, tools, unsplice};

/// Seconds from one observation to the next, and observations in a minute.
const STEP: usize = 10;
const A_MINUTE: usize = 60 / STEP;

/// Minutes of an ordinary history, of the incident, and of what follows.
const CALM: usize = 2880;
const INCIDENT: usize = 30;
const AFTERWARDS: usize = 600;

/// Minutes of the calm history that Prometheus sees too.
const SEEN: usize = 5;

/// How many observations the incident may take to be reported.
const PROMPT: usize = 5;

/// The minutes after the values' return within which it must end, and the minutes without an anomaly that prove it.
const END_WITHIN: usize = 240;
const QUIET: usize = 30;

/// The rules' `for`, in minutes.
const FOR: usize = 5;

/// Noise around 50, shifted by twenty of its standard deviations during the incident.
fn history() -> String {
    let uniform = |at: usize, salt: u64| {
        let hash = (at as u64 * 12 + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let hash = (hash ^ (hash >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (hash >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut out = String::new();
    for at in 0..(CALM + INCIDENT + AFTERWARDS) * A_MINUTE {
        // A sum of twelve uniform numbers is nearly normal, with a variance of 1.
        let noise: f64 = (0..12).map(|salt| uniform(at, salt)).sum::<f64>() - 6.0;
        let shift = if (CALM..CALM + INCIDENT).contains(&(at / A_MINUTE)) { 20.0 } else { 0.0 };
        let time = 1_700_000_000 + at * STEP;
        writeln!(out, "load,host=a value={:.3} {time}000000000", 50.0 + noise + shift)
            .expect("text can be appended to");
    }
    out
}

/// The verdicts that `qualm execd` emits on the observations of the history: scores, and `is_anomaly`. The first have none.
fn verdicts(qualm: &std::path::Path) -> Vec<(f64, bool)> {
    let input = history();
    let done = run(qualm, &["execd"], input.as_bytes());
    assert!(done.status.success(), "{}", done.stderr);
    let spliced = unsplice(input.as_bytes(), &done.stdout).unwrap_or_else(|parting| panic!("{parting}"));
    let unscored = input.lines().count() - spliced.len();
    let emitted = spliced.iter().map(|verdict| (verdict.score, verdict.is_anomaly));
    std::iter::repeat_n((f64::NAN, false), unscored).chain(emitted).collect()
}

/// The expected state of an alert at a minute.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Inactive,
    Pending,
    Firing,
}

/// A test file for `promtool`: the series, by the minute, and the state that each alert must have at some of the minutes.
fn rule_test(rules: &str, anomalous: &[bool], states: &BTreeMap<usize, State>) -> String {
    let written = |yes: &'static str, no: &'static str| {
        let values: Vec<_> = anomalous.iter().map(|&is| if is { yes } else { no }).collect();
        values.join(" ")
    };
    let values = written("1", "0");
    // Of `disk` the cause is a label, so that an incident is a series of its own: the other one goes stale meanwhile.
    let (with_cause, without) = (written("1", "stale"), written("stale", "0"));
    let mut out = format!(
        "rule_files: [{rules:?}]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n      \
         - {{ series: 'is_anomaly{{host=\"a\",metric_name=\"load\"}}', values: '{values}' }}\n      \
         - {{ series: 'load_is_anomaly{{host=\"a\"}}', values: '{values}' }}\n      \
         - {{ series: 'mem_is_anomaly{{host=\"a\"}}', values: '{values}' }}\n      \
         - {{ series: 'disk_is_anomaly{{host=\"a\"}}', values: '{without}' }}\n      \
         - {{ series: 'disk_is_anomaly{{host=\"a\",anomaly_cause=\"used\"}}', values: '{with_cause}' }}\n"
    );
    let alerts = [
        ("MetricIsAnomalous", "metric_name", "load"),
        ("MeasurementIsAnomalous", "measurement", "load"),
        ("MeasurementIsAnomalous", "measurement", "mem"),
        ("MeasurementIsAnomalous", "measurement", "disk"),
    ];
    out += "    promql_expr_test:\n";
    for (minute, state) in states {
        for (alert, label, value) in alerts {
            for (other, name) in [(State::Pending, "pending"), (State::Firing, "firing")] {
                let labels = format!("alertname=\"{alert}\",alertstate=\"{name}\",host=\"a\",{label}=\"{value}\"");
                let series = format!("ALERTS{{{labels},severity=\"warning\"}}");
                let samples =
                    if *state == other { format!("[{{ labels: '{series}', value: 1 }}]") } else { "[]".to_owned() };
                writeln!(out, "      - {{ expr: '{series}', eval_time: {minute}m, exp_samples: {samples} }}")
                    .expect("text can be appended to");
            }
        }
    }
    out
}

#[test]
fn an_alert_becomes_pending_fires_and_resolves_with_the_incident() {
    let Some(qualm) = tools::qualm() else { return };
    let Some(promtool) = tools::promtool() else { return };
    let verdicts = verdicts(&qualm);

    // The detector's result, which this test depends on.
    let (began, returned) = (CALM * A_MINUTE, (CALM + INCIDENT) * A_MINUTE);
    let onset = (began..began + PROMPT).find(|&at| verdicts[at].0 > 1.0 && verdicts[at].1);
    let onset = onset.unwrap_or_else(|| panic!("the incident is not reported: {:?}", &verdicts[began..began + PROMPT]));
    let calm_from = |at: usize| verdicts[at..].iter().take(QUIET * A_MINUTE).all(|(_, anomaly)| !anomaly);
    let over = (returned..returned + END_WITHIN * A_MINUTE).find(|&at| calm_from(at));
    let over = over.unwrap_or_else(|| panic!("no end of it {END_WITHIN} minutes after the values returned"));
    let first_gap = (onset..=over).find(|&at| !verdicts[at].1).unwrap_or(over);
    assert!(first_gap > onset + (FOR + 2) * A_MINUTE, "is_anomaly was 1 for {} observations only", first_gap - onset);

    // Prometheus scrapes every minute and finds the last observation.
    let start = began - SEEN * A_MINUTE;
    let scraped: Vec<bool> = (start..over + QUIET * A_MINUTE).step_by(A_MINUTE).map(|at| verdicts[at].1).collect();
    let minute = |at: usize| (at - start).div_ceil(A_MINUTE);
    let (pending, gap, quiet) = (minute(onset), minute(first_gap), minute(over));
    assert!(scraped[..pending].iter().all(|anomaly| !anomaly), "something else was reported just before");
    let mut states: BTreeMap<usize, State> = (0..pending).map(|minute| (minute, State::Inactive)).collect();
    states.extend((pending..pending + FOR).map(|minute| (minute, State::Pending)));
    states.extend((pending + FOR..gap).map(|minute| (minute, State::Firing)));
    if !scraped[gap] {
        states.insert(gap, State::Inactive);
    }
    states.extend((quiet..scraped.len()).map(|minute| (minute, State::Inactive)));

    let rules = tools::workspace().join("operations/alerts/anomalies.rules.yml");
    let rules = rules.to_str().expect("a path in UTF-8");
    let checked = run(&promtool, &["check", "rules", rules], b"");
    assert!(checked.status.success(), "{}", checked.stderr);
    let site = Site::new();
    let test = site.write("test.yml", rule_test(rules, &scraped, &states));
    let tested = run(&promtool, &["test", "rules", test.to_str().expect("a path in UTF-8")], b"");
    assert!(tested.status.success(), "{}\n{}", tested.stderr, String::from_utf8_lossy(&tested.stdout));

    // Checks the check: shifted by some minutes it fails.
    let wrong = states.into_iter().map(|(minute, state)| (minute + FOR, state)).collect();
    let test = site.write("wrong.yml", rule_test(rules, &scraped, &wrong));
    assert!(!run(&promtool, &["test", "rules", test.to_str().expect("a path in UTF-8")], b"").status.success());
}
