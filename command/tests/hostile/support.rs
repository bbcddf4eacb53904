//! Runs a pipeline with a hostile and a healthy detector.

use std::time::Duration;

use qualm::config::Config;
use qualm::{Backoff, Health, Pipeline};
use qualm_sandbox::{DetectorSpec, Limits, Running, Sandbox};
use rustix::time::{ClockId, clock_gettime};

use crate::attacks::{Attack, hostile};

/// The limits of the hostile detector.
pub(crate) const LIMITS: Limits = Limits { memory: 32 << 20, deadline: Duration::from_millis(100) };

/// As short as possible, so that it attacks in most batches.
pub(crate) const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(4), reset: Duration::from_mins(1) };

/// Batches, and the lines of each.
const BATCHES: usize = 30;
const LINES: usize = 50;

/// The results of an attack.
pub(crate) struct Outcome {
    pub(crate) health: Health,
    /// Scored lines of the hostile detector.
    pub(crate) scored: u64,
    /// The bits of the healthy detector's scores.
    pub(crate) healthy_scores: Vec<u64>,
    /// The longest CPU time of a batch, the work between batches included.
    pub(crate) longest_batch: Duration,
    pub(crate) summary: String,
}

/// The CPU time of this thread.
pub(crate) fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("time is positive")
}

/// Starts the attack's detector once; the error is why it is refused.
pub(crate) fn try_start(attack: &Attack) -> Result<DetectorSpec, String> {
    let spec = attack.spec().map_err(|error| error.to_string())?;
    Running::start(spec.clone(), 1).map_err(|failure| format!("{} ({failure})", failure.name()))?;
    Ok(spec)
}

/// Runs a pipeline with a hostile and a healthy detector, each with half of the lines. State is saved all the time, and series
/// are created and dropped.
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
    let mut pipeline = Pipeline::with(&config, vec![bad, good], BACKOFF).expect("it begins well");
    let (mut healthy_scores, mut scored, mut longest_batch) = (Vec::new(), 0, Duration::ZERO);
    for batch in 0..BATCHES {
        let lines: String = (0..LINES).map(|at| line(batch, at)).collect();
        let began = cpu_time();
        pipeline.run_between_batches();
        pipeline.input()[..lines.len()].copy_from_slice(lines.as_bytes());
        let out = pipeline.run(lines.len(), 0).to_vec();
        longest_batch = longest_batch.max(cpu_time().saturating_sub(began));
        let out = String::from_utf8(out).expect("it is text");
        scored += compare(&lines, &out);
        let healthy = pipeline.verdicts().filter(|verdict| verdict.lane == 1);
        healthy_scores.extend(healthy.map(|verdict| verdict.score.to_bits()));
        // Until the next save is due.
        std::thread::sleep(Duration::from_millis(5));
    }
    let health = pipeline.health().next().expect("there are two").1.clone();
    Outcome { health, scored, healthy_scores, longest_batch, summary: pipeline.summary() }
}

/// The results without an attack.
pub(crate) fn calm() -> Outcome {
    pipeline(hostile("calm"))
}

/// Half of a batch is for each detector; every batch has new series, so that old ones are dropped.
fn line(batch: usize, at: usize) -> String {
    let (measurement, series) = (["bad", "good"][at % 2], if at < 10 { batch * 100 + at } else { at });
    let value = ((batch * 31 + at * 17) % 23) as f64 / 32.0;
    format!("{measurement},t={series} v={value} {}\n", batch * 1_000_000_000 + at)
}

/// Checks that the output is the input but for the spliced fields. Returns the scored lines of the hostile detector.
fn compare(lines: &str, out: &str) -> u64 {
    let mut scored = 0;
    let mut out = out.lines();
    for line in lines.lines() {
        let output = out.next().expect("as many lines come out");
        if output != line {
            let (fields, time) = line.rsplit_once(' ').expect("it has a time");
            let rest = output.strip_prefix(fields).and_then(|rest| rest.strip_suffix(time));
            let added = rest.unwrap_or_else(|| panic!("{line} became {output}"));
            assert!(added.starts_with(",anomaly_score=") && added.ends_with(' '), "{output}");
            scored += u64::from(line.starts_with("bad"));
        }
    }
    assert_eq!(out.next(), None, "more lines come out");
    scored
}
