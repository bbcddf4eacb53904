//! Whatever a guest does, every line comes out, in order and in time, the other detectors' scores do not change, and the
//! counters have the reason of each missing score.
//!
//! `attacks.rs` lists the attacks, `plugins/hostile` and `components.rs` implement them. `bundles.rs` tests the whole process
//! (compilation, bundles), and `service.rs` its HTTP service.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
mod bundles;
mod components;
mod mutants;
mod service;
mod support;

use std::time::Duration;

use qualm::config::Config;
use qualm::{Health, Pipeline};
use qualm_contract::Verdicts;
use qualm_pipeline::Rows;
use qualm_sandbox::{DetectorSpec, Guest, Limits, Running, Sandbox};

use attacks::{ALL, ANSWERS, Attack, Attacker, COMPONENTS, Expected, GROWTH, LOOPS, TEXTS, component_spec, hostile};
use components::Core;
use support::{BACKOFF, LIMITS, Outcome, calm, pipeline, try_start};

/// The longest batch: its deadline, 10 ms, and half a deadline more for a busy machine, on which the clock thread runs late.
/// Without deadlines a batch would not end; with one for each call it would take two.
const MAX_BATCH_TIME: Duration =
    LIMITS.deadline.saturating_add(Duration::from_millis(10)).saturating_add(Duration::from_millis(50));

/// Checks every promise for each attack.
fn check_attacks(attacks: &[Attack]) {
    let calm = calm();
    assert_eq!((calm.scored, calm.health.failures.len()), (30 * 25, 0));
    for attack in attacks {
        let name = attack.name;
        let spec = match (try_start(attack), attack.expected) {
            (Ok(spec), Expected::Fails(_) | Expected::Harmless) => spec,
            (Err(why), Expected::NotOpened(reason) | Expected::NotCompiled(reason)) => {
                assert!(why.contains(reason), "{name}: {why}, and not {reason}");
                assert!(why.len() < 600 && !why.contains(char::is_control), "{name}: {why:?}");
                continue;
            }
            (Ok(_), _) => panic!("{name}: it is not refused"),
            (Err(why), _) => panic!("{name}: it is refused: {why}"),
        };
        let Outcome { health, scored, healthy_scores, longest_batch, summary } = pipeline(spec);
        assert_eq!(healthy_scores, calm.healthy_scores, "{name}: the healthy detector's scores");
        assert!(longest_batch < MAX_BATCH_TIME, "{name}: a batch took {longest_batch:?}");
        assert!(health.memory as usize <= LIMITS.memory, "{name}: {health:?}");
        match attack.expected {
            Expected::Fails(counter) => {
                assert!(health.failures.keys().eq([&counter]), "{name}: {health:?}");
                assert!(summary.contains(counter), "{name}: {summary}");
                if matches!(attack.attacker, Attacker::Model(model) if model.ends_with(" 2")) {
                    assert!(scored >= 50, "{name}: lines before the attack are scored: {scored}");
                }
            }
            _ => assert!(health.failures.is_empty(), "{name}: {health:?}"),
        }
        if !name.contains("NaN") {
            assert_eq!(health.unscored + scored, 30 * 25, "{name}: {health:?}");
        }
        if name.contains("flood") || name.contains("lines without end") || name.contains("printing") {
            assert!(health.lines_written <= 25 && health.lines_dropped > 1000, "{name}: {health:?}");
        }
    }
}

#[test]
fn attacks_have_unique_names() {
    let mut names: Vec<_> = ALL.iter().copied().flatten().map(|attack| attack.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]) && names.len() > 60, "{names:?}");
}

#[test]
fn endless_loops_are_interrupted() {
    check_attacks(LOOPS);
}

#[test]
fn growth_is_limited() {
    check_attacks(GROWTH);
}

#[test]
fn invalid_answers_are_rejected() {
    check_attacks(ANSWERS);
}

#[test]
fn texts_and_logs_are_limited() {
    check_attacks(TEXTS);
}

#[test]
fn hostile_components_are_contained() {
    check_attacks(COMPONENTS);
}

#[test]
fn a_forbidden_call_traps_with_its_name() {
    for (name, called) in [
        ("waits", "it called `wasi:clocks/monotonic-clock#subscribe-duration`"),
        ("polls", "it called `wasi:io/poll#poll`"),
        ("opens a socket", "it called `wasi:sockets/tcp-create-socket#create-tcp-socket`"),
        ("ends the process", "it called `wasi:cli/exit#exit`"),
        ("looks at a file", "unknown handle"),
    ] {
        let attack = COMPONENTS.iter().find(|attack| attack.name == name).unwrap();
        let mut running = Running::start(attack.spec().unwrap(), 1).unwrap();
        let mut rows = Rows::default();
        rows.add(0, 0, 0.5);
        let failure =
            running.guest().score_batch(rows.batch(), rows.wanted(), &mut Verdicts::default()).unwrap_err().to_string();
        assert!(failure.contains(called), "{name}: {failure}");
    }
}

/// With enough guest memory, a text of a gigabyte can be returned; it is rejected before it is copied.
#[test]
fn a_text_of_a_gigabyte_is_not_copied() {
    let component = Core { pages: 17 << 10, kind: (0, 1 << 30), ..Core::default() }.build();
    let limits = Limits { memory: 2 << 30, ..LIMITS };
    let began = support::cpu_time();
    let failure = Running::start(component_spec(&component, limits).unwrap(), 1).unwrap_err();
    assert_eq!(failure.name(), "nonsense", "{failure}");
    // A copy takes some tenths of a second.
    let took = support::cpu_time().saturating_sub(began);
    assert!(took < MAX_BATCH_TIME, "{took:?}");
}

#[test]
fn a_guests_texts_are_sanitized() {
    let description = Running::start(hostile("describe-control"), 1).unwrap().description().clone();
    assert_eq!(description.kind, "line·E! forged·[2J·");
    assert_eq!(description.scale, description.version);
    let failure = Guest::start(&hostile("open-control")).unwrap_err().to_string();
    assert!(failure.contains("line·E! forged"), "{failure}");
}

/// The sandbox has no randomness: a detector whose scores vary from call to call varies alike in each run, and fails golden
/// rows that were recorded elsewhere.
#[test]
fn the_same_calls_give_the_same_scores() {
    let (one, other) = (pipeline(hostile("moods")), pipeline(hostile("moods")));
    assert_eq!(one.scored, other.scored);
    let scores = || {
        let mut running = Running::start(hostile("moods"), 1).unwrap();
        let (mut rows, mut verdicts) = (Rows::default(), Verdicts::default());
        (0..10).for_each(|at| rows.add(0, at, 0.5));
        (0..3).for_each(|_| running.guest().score_batch(rows.batch(), rows.wanted(), &mut verdicts).unwrap());
        verdicts.scores
    };
    assert_eq!(scores(), scores());
    assert!(scores()[0].to_bits() != scores()[10].to_bits(), "they vary from call to call");
}

#[test]
fn state_that_crashes_a_guest_loses_no_line() {
    for (attack, counter) in [("restore-loop", "deadline"), ("restore-trap", "trap"), ("restore-error", "")] {
        let state = tempfile::tempdir().unwrap();
        let mut config = Config::parse("", "none").unwrap();
        config.state.dir = Some(state.path().to_owned());
        let mut before = Pipeline::with(&config, vec![hostile("calm")], BACKOFF).unwrap();
        let line = "m v=0.5 1\n";
        before.input()[..line.len()].copy_from_slice(line.as_bytes());
        before.run(line.len(), 0);
        before.close().unwrap();
        let mut after = Pipeline::with(&config, vec![hostile(attack)], BACKOFF).unwrap();
        for _ in 0..3 {
            after.run_between_batches();
            after.input()[..line.len()].copy_from_slice(line.as_bytes());
            assert_eq!(qualm_pipeline::line::count_newlines(after.run(line.len(), 0)), 1, "{attack}");
        }
        let health = health(&after);
        assert_eq!(health.failures.keys().copied().collect::<Vec<_>>().concat(), counter, "{attack}");
        assert!(health.batches > 0, "{attack}: it scores without the state: {health:?}");
    }
}

/// At start and end, where no batch waits, all state is restored and saved, however short the deadline.
#[test]
fn large_state_is_saved_and_restored_completely() {
    let state = tempfile::tempdir().unwrap();
    let mut config = Config::parse("", "none").unwrap();
    config.state.dir = Some(state.path().to_owned());
    config.limits.deadline = Duration::from_millis(60);
    let start = || {
        let model = config.detector[0].parameters().unwrap().to_model();
        let limits = Limits { deadline: config.limits.deadline, ..Limits::default() };
        let spec = DetectorSpec::new(&Sandbox::new(None), qualm_components::DETECTOR, model, limits).unwrap();
        Pipeline::with(&config, vec![spec], BACKOFF).unwrap()
    };
    let mut pipeline = start();
    let mut out = Vec::new();
    let lines: String = (0..400_000).map(|at| format!("m,t={at} v=0.5 1\n")).collect();
    pipeline.score_body(lines.as_bytes(), 0, &mut out);
    pipeline.close().unwrap();
    let after = start();
    assert!(after.summary().contains("400000 series"), "{}", after.summary());
    after.close().unwrap();
}

#[test]
fn ten_million_lines_pass_a_guest_that_traps_at_random() {
    let config = Config::parse("", "none").unwrap();
    let mut pipeline = Pipeline::with(&config, vec![hostile("trap-at-random")], BACKOFF).unwrap();
    // The time of a batch's first line decides whether it traps.
    let rest: String = (0..4999).map(|line| format!("m,t={} v=0.5 {line}\n", line % 100)).collect();
    for round in 0..2000 {
        let batch = format!("m v=0.5 {round}\n{rest}");
        pipeline.input()[..batch.len()].copy_from_slice(batch.as_bytes());
        let out = pipeline.run(batch.len(), 0);
        assert_eq!(qualm_pipeline::line::count_newlines(out), 5000);
        if round % 100 == 0 {
            let output = std::str::from_utf8(out).unwrap().lines();
            for (output, line) in output.zip(batch.lines()) {
                let (fields, time) = line.rsplit_once(' ').unwrap();
                assert!(output.starts_with(fields) && output.ends_with(time), "{output}");
            }
        }
        pipeline.run_between_batches();
    }
    let (counts, health) = (pipeline.counts(), health(&pipeline));
    assert!(counts.events == 10_000_000 && counts.events == counts.selected, "{counts:?}");
    assert_eq!(counts.scored + health.unscored, counts.events);
    assert!(health.failures["trap"] > 50 && counts.scored > 1_000_000, "{counts:?} {health:?}");
}

fn health(pipeline: &Pipeline) -> Health {
    pipeline.health().next().unwrap().1.clone()
}
