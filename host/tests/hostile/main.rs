//! Whatever a guest does, every line comes out, in order, and the counters say why it has no score.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod components;
mod scratch;

use std::time::{Duration, Instant};

use qualm::config::Config;
use qualm::sandbox::supervisor::{Health, Rest};
use qualm::sandbox::{Limits, Recipe, Sandbox};
use qualm::scoring::Scoring;

/// Long enough that a busy machine does not pass for a guest that hangs.
const DEADLINE: Duration = Duration::from_millis(250);
const REST: Rest =
    Rest { first: Duration::from_millis(1), most: Duration::from_millis(4), reset: Duration::from_mins(1) };

fn scoring(attack: &str) -> Scoring {
    let config = Config::parse("", "none").unwrap();
    let limits = Limits { memory: 32 << 20, deadline: DEADLINE };
    let recipe = Recipe::new(&Sandbox::new(None), qualm_components::HOSTILE, attack.as_bytes().to_vec(), limits);
    Scoring::with(&config, vec![recipe.unwrap()], REST).unwrap()
}

/// Gives `lines` to `scoring`, and returns how many of them came out with a score, once it is sure that all came out.
fn pass(scoring: &mut Scoring, lines: &str) -> usize {
    scoring.input()[..lines.len()].copy_from_slice(lines.as_bytes());
    let out = scoring.run(lines.len(), 0);
    let mut scored = 0;
    let mut out = std::str::from_utf8(out).unwrap().lines();
    for line in lines.lines() {
        let came = out.next().expect("as many lines come out");
        if came != line {
            let (fields, time) = line.rsplit_once(' ').unwrap();
            assert!(came.starts_with(fields) && came.ends_with(time) && came.contains(",anomaly_score="), "{came}");
            scored += 1;
        }
    }
    assert_eq!(out.next(), None);
    scored
}

fn health(scoring: &Scoring) -> Health {
    scoring.health().next().unwrap().1.clone()
}

#[test]
fn every_attack_costs_scores_and_nothing_else() {
    for (attack, counter) in [
        ("loop", "deadline"),
        ("memory", "memory"),
        ("stack", "trap"),
        ("trap", "trap"),
        ("short", "nonsense"),
        ("long", "nonsense"),
        ("none", "nonsense"),
        ("many", "nonsense"),
        ("infinite", "nonsense"),
        ("negative", "nonsense"),
        ("error", "memory"),
        ("control", "refused"),
    ] {
        let mut scoring = scoring(&format!("{attack} 2"));
        let mut scored = 0;
        for batch in 0..20 {
            let lines: String = (0..50).map(|line| format!("m,t={line} v=0.5 {batch}\n")).collect();
            scored += pass(&mut scoring, &lines);
            scoring.tend();
        }
        let health = health(&scoring);
        assert!(scored >= 100, "{attack}: what came before the attack is scored");
        assert!(health.failures.keys().eq([&counter]), "{attack}: {health:?}");
        assert_eq!(health.unscored as usize + scored, 1000, "{attack}: {health:?}");
        assert!(scoring.summary().contains(counter), "{}", scoring.summary());
    }
    let mut nan = scoring("nan");
    assert_eq!(pass(&mut nan, "m v=1 1\n"), 0);
    assert!(health(&nan).failures.is_empty(), "not scoring is no failure");
}

#[test]
fn a_guest_that_never_answers_delays_a_batch_by_its_deadline_and_no_more() {
    // In units of the deadline, as this machine may be slow: a loop without end would hang, a broken clock take longer.
    let mut scoring = scoring("loop");
    let began = Instant::now();
    pass(&mut scoring, "m v=1 1\n");
    let took = began.elapsed();
    assert!(took >= DEADLINE && took < DEADLINE * 8, "{took:?}");
}

#[test]
fn failures_outside_a_batch_harm_no_line() {
    for attack in ["forget-trap", "forget-loop", "save-trap", "save-loop", "save-memory"] {
        let config = Config::parse("[state]\ninterval = \"1s\"\n[limits]\nmax_series = 5", "none").unwrap();
        let limits = Limits { memory: 32 << 20, deadline: DEADLINE };
        let recipe = Recipe::new(&Sandbox::new(None), qualm_components::HOSTILE, attack.as_bytes().to_vec(), limits);
        let mut scoring = Scoring::with(&config, vec![recipe.unwrap()], REST).unwrap();
        let until = Instant::now() + Duration::from_millis(3500);
        let mut batch = 0;
        while Instant::now() < until {
            let lines: String = (0..10).map(|line| format!("m,t={} v=0.5 1\n", line * 7 + batch)).collect();
            pass(&mut scoring, &lines);
            scoring.tend();
            batch += 1;
        }
        let health = health(&scoring);
        assert!(!health.failures.is_empty(), "{attack}: {health:?}");
    }
}

#[test]
fn ten_million_lines_pass_a_guest_that_traps_at_random() {
    let mut scoring = scoring("trap-at-random");
    // Each batch begins with a line of its own time, which decides whether it is one to trap on.
    let rest: String = (0..4999).map(|line| format!("m,t={} v=0.5 {line}\n", line % 100)).collect();
    let mut scored = 0;
    for round in 0..2000 {
        let batch = format!("m v=0.5 {round}\n{rest}");
        if round % 100 == 0 {
            scored += pass(&mut scoring, &batch);
        } else {
            scoring.input()[..batch.len()].copy_from_slice(batch.as_bytes());
            assert_eq!(qualm_stream::line::count_newlines(scoring.run(batch.len(), 0)), 5000);
        }
        scoring.tend();
    }
    let (counts, health) = (scoring.counts(), health(&scoring));
    assert!(counts.events == 10_000_000 && counts.events == counts.selected, "{counts:?}");
    assert_eq!(counts.scored + health.unscored, counts.events);
    assert!(health.failures["trap"] > 50 && counts.scored > 1_000_000 && scored > 0, "{counts:?} {health:?}");
}

#[test]
fn the_other_detectors_score_as_if_nothing_had_happened() {
    let text = "[[detector]]\nname = \"bad\"\nselect = { measurement = \"bad\" }\n[[detector]]\nname = \"good\"\nmin_samples = 10";
    let config = Config::parse(text, "none").unwrap();
    let run = |attack: &str| {
        let sandbox = Sandbox::new(None);
        let limits = Limits { memory: 64 << 20, deadline: DEADLINE };
        let bad = Recipe::new(&sandbox, qualm_components::HOSTILE, attack.as_bytes().to_vec(), limits).unwrap();
        let model = config.detector[1].parameters().to_model();
        let good = Recipe::new(&sandbox, qualm_components::DETECTOR, model, Limits::default()).unwrap();
        let mut scoring = Scoring::with(&config, vec![bad, good], REST).unwrap();
        let mut scores = Vec::new();
        for batch in 0..60_i64 {
            let lines = format!("bad v=0.5 {batch}\ngood v={} {}\n", (batch * 37) % 11, batch * 1_000_000_000);
            scoring.input()[..lines.len()].copy_from_slice(lines.as_bytes());
            scoring.run(lines.len(), 0);
            scores
                .extend(scoring.verdicts().filter(|verdict| verdict.lane == 1).map(|verdict| verdict.score.to_bits()));
        }
        scores
    };
    let calm = run("calm");
    assert_eq!(calm.len(), 60);
    for attack in ["trap 3", "loop 50", "memory 5", "short"] {
        assert_eq!(run(attack), calm, "{attack}");
    }
}
