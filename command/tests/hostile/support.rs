//! A pipeline with two detectors, one of which is attacked with, and what became of it.

use std::time::Duration;

use qualm::config::Config;
use qualm::scoring::Scoring;
use qualm::supervisor::{Backoff, Health};
use qualm_sandbox::{DetectorSpec, Limits, Running, Sandbox};
use rustix::time::{ClockId, clock_gettime};

use crate::attacks::{Attack, hostile};

/// What an attacker may use.
pub(crate) const LIMITS: Limits = Limits { memory: 32 << 20, deadline: Duration::from_millis(100) };

/// As good as none: it attacks again and again.
pub(crate) const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(4), reset: Duration::from_mins(1) };

/// Batches that a pipeline is given; and lines of each.
const BATCHES: usize = 30;
const LINES: usize = 50;

/// What became of an attack.
pub(crate) struct Outcome {
    pub(crate) health: Health,
    /// Lines of the attacked detector that were scored.
    pub(crate) scored: u64,
    /// The other detector's scores.
    pub(crate) others: Vec<u64>,
    /// The most of a processor's time that a batch took, and what was done since the one before.
    pub(crate) longest: Duration,
    pub(crate) summary: String,
}

/// How long this thread has run.
pub(crate) fn ran() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("time is positive")
}

/// Why it is not taken, if it is not.
pub(crate) fn trial(attack: &Attack) -> Result<DetectorSpec, String> {
    let spec = attack.spec()?;
    Running::start(spec.clone(), 1).map_err(|failure| format!("{} ({failure})", failure.name()))?;
    Ok(spec)
}

/// Runs a pipeline with a detector that is attacked with, and a healthy one: half of the lines are for each. State is saved
/// all the time, and series come and go.
///
/// # Panics
///
/// Where a line is lost, changed, or out of order.
pub(crate) fn pipeline(bad: DetectorSpec) -> Outcome {
    let text = "[[detector]]\nname = \"bad\"\nselect = { measurement = \"bad\" }\n\
                [[detector]]\nname = \"good\"\nselect = { measurement = \"good\" }\nmin_samples = 10\n\
                [limits]\nmax_series = 40\n";
    let mut config = Config::parse(text, "none").expect("it is right");
    config.state.interval = Duration::from_millis(5);
    let model = config.detector[1].parameters().expect("it learns online").to_model();
    let sandbox = Sandbox::new(None);
    let good = DetectorSpec::new(&sandbox, qualm_components::DETECTOR, model, Limits::default()).expect("it is ours");
    let mut scoring = Scoring::with(&config, vec![bad, good], BACKOFF).expect("it begins well");
    let (mut others, mut scored, mut longest) = (Vec::new(), 0, Duration::ZERO);
    for batch in 0..BATCHES {
        let lines: String = (0..LINES).map(|at| line(batch, at)).collect();
        let began = ran();
        scoring.run_between_batches();
        scoring.input()[..lines.len()].copy_from_slice(lines.as_bytes());
        let out = scoring.run(lines.len(), 0).to_vec();
        longest = longest.max(ran().saturating_sub(began));
        let out = String::from_utf8(out).expect("it is text");
        scored += compare(&lines, &out);
        others.extend(scoring.verdicts().filter(|verdict| verdict.lane == 1).map(|verdict| verdict.score.to_bits()));
        // As long as it takes until there is something to save again.
        std::thread::sleep(Duration::from_millis(5));
    }
    let health = scoring.health().next().expect("there are two").1.clone();
    Outcome { health, scored, others, longest, summary: scoring.summary() }
}

/// The other detector's scores where nobody attacks.
pub(crate) fn calm() -> Outcome {
    pipeline(hostile("calm"))
}

/// Half of a batch is for either detector; every batch brings new series, so that old ones have to go.
fn line(batch: usize, at: usize) -> String {
    let (measurement, series) = (["bad", "good"][at % 2], if at < 10 { batch * 100 + at } else { at });
    let value = ((batch * 31 + at * 17) % 23) as f64 / 32.0;
    format!("{measurement},t={series} v={value} {}\n", batch * 1_000_000_000 + at)
}

/// Compares what came out with what went in: the same but for fields at the end of some lines. How many of the attacked
/// detector's have them.
fn compare(lines: &str, out: &str) -> u64 {
    let mut scored = 0;
    let mut out = out.lines();
    for line in lines.lines() {
        let came = out.next().expect("as many lines come out");
        if came != line {
            let (fields, time) = line.rsplit_once(' ').expect("it has a time");
            let rest = came.strip_prefix(fields).and_then(|rest| rest.strip_suffix(time));
            let added = rest.unwrap_or_else(|| panic!("{line} became {came}"));
            assert!(added.starts_with(",anomaly_score=") && added.ends_with(' '), "{came}");
            scored += u64::from(line.starts_with("bad"));
        }
    }
    assert_eq!(out.next(), None, "more lines come out");
    scored
}
