//! Several detectors as one: what their scores become, and that one that fails costs no more than itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use qualm::config::Config;
use qualm::{Backoff, Pipeline};
use qualm_sandbox::{DetectorSpec, Limits, Sandbox};

const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(4), reset: Duration::from_mins(1) };

/// A hostile member scores a value by its size; its commands follow its name.
enum Who {
    Streaming,
    Hostile(&'static str),
}

fn pipeline(combine: &str, members: &[Who]) -> Pipeline {
    let names: Vec<_> = (0..members.len()).map(|at| format!("{{ name = \"m{at}\", min_samples = 10 }}")).collect();
    let text = match members {
        [_] => "[[detector]]\nmin_samples = 10".to_owned(),
        _ => format!("[[detector]]\nkind = \"ensemble\"\ncombine = \"{combine}\"\nmembers = [{}]", names.join(", ")),
    };
    let config = Config::parse(&text, "none").unwrap();
    let sandbox = Sandbox::new(None);
    let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
    let spec = |(who, (member, _)): (&Who, (&qualm::config::Detector, f64))| match who {
        Who::Streaming => {
            DetectorSpec::new(&sandbox, qualm_components::DETECTOR, member.parameters().unwrap().to_model(), limits)
                .unwrap()
        }
        Who::Hostile(attack) => {
            DetectorSpec::new(&sandbox, qualm_test_plugins::HOSTILE, attack.as_bytes().to_vec(), limits).unwrap()
        }
    };
    let specs = members.iter().zip(config.detector[0].members()).map(spec).collect();
    Pipeline::with(&config, specs, BACKOFF).unwrap()
}

/// The scores of a series that is ordinary, with one jump.
fn scores(pipeline: &mut Pipeline) -> Vec<f64> {
    let mut scores = Vec::new();
    for batch in 0..60_i64 {
        let value = if batch == 50 { 40 } else { (batch * 37) % 11 };
        let line = format!("m v={value} {}\n", batch * 60_000_000_000);
        pipeline.input()[..line.len()].copy_from_slice(line.as_bytes());
        let out = std::str::from_utf8(pipeline.run(line.len(), 0)).unwrap();
        assert!(out.starts_with(&format!("m v={value}")), "{out}");
        scores.extend(pipeline.verdicts().map(|verdict| verdict.score));
        pipeline.run_between_batches();
    }
    scores
}

fn bits(scores: &[f64]) -> Vec<u64> {
    scores.iter().map(|score| score.to_bits()).collect()
}

#[test]
fn twins_agree_whatever_the_rule() {
    let alone = scores(&mut pipeline("", &[Who::Streaming]));
    assert!(alone[50] > 1.0 && alone[5].is_nan(), "{alone:?}");
    for combine in ["mean", "maximum", "vote"] {
        let twins = scores(&mut pipeline(combine, &[Who::Streaming, Who::Streaming]));
        assert_eq!(bits(&twins), bits(&alone), "{combine}");
    }
}

#[test]
fn a_member_that_fails_is_left_out_and_counted() {
    let alone = scores(&mut pipeline("", &[Who::Streaming]));
    for combine in ["mean", "maximum", "vote"] {
        for attack in ["trap", "short", "memory"] {
            let mut ensemble = pipeline(combine, &[Who::Hostile(attack), Who::Streaming]);
            assert_eq!(bits(&scores(&mut ensemble)), bits(&alone), "{combine}, {attack}");
            let health: Vec<_> = ensemble.health().map(|(name, health)| (name.to_owned(), health.clone())).collect();
            assert_eq!((health[0].0.as_str(), health[1].0.as_str()), ("all/m0", "all/m1"));
            assert!(!health[0].1.failures.is_empty() && health[1].1.failures.is_empty(), "{health:?}");
        }
    }
}

#[test]
fn members_count_by_the_rule() {
    let alone = scores(&mut pipeline("", &[Who::Streaming]));
    // The hostile one that behaves gives each value as its score.
    let value = |at: usize| if at == 50 { 40.0 } else { ((at * 37) % 11) as f64 };
    for (combine, expected) in
        [("mean", f64::midpoint as fn(f64, f64) -> f64), ("maximum", f64::max), ("vote", f64::min)]
    {
        let both = scores(&mut pipeline(combine, &[Who::Streaming, Who::Hostile("calm")]));
        for (at, (score, alone)) in both.iter().zip(&alone).enumerate() {
            let expected = if alone.is_nan() { value(at) } else { expected(*alone, value(at)) };
            // With a value of 1 the report of an earlier one stands, and with it the incident.
            let lasts = combine == "mean" && value(at).to_bits() == 1_f64.to_bits() && !alone.is_nan();
            let expected = if lasts { expected.max(0.51) } else { expected };
            assert!((score - expected).abs() < 1e-12, "{combine}, row {at}: {score}, not {expected}");
        }
    }
}
