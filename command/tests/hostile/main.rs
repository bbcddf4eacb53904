//! Whatever a guest does, every line comes out, in order and in time, the other detectors score as if nothing had happened,
//! and the counters say why there is no score.
//!
//! `attacks.rs` has every attack, `plugins/hostile` and `components.rs` what they are made of. What only the whole program
//! does (compiling, taking bundles) is in `bundles.rs`, and what its service does in `service.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
mod bundles;
mod components;
mod mutants;
mod service;
mod support;

use std::time::Duration;

use qualm::config::Config;
use qualm::scoring::Scoring;
use qualm::supervisor::Health;
use qualm_contract::Verdicts;
use qualm_pipeline::Rows;
use qualm_sandbox::{DetectorSpec, Guest, Limits, Running, Sandbox};

use attacks::{ALL, ANSWERS, Attack, COMPONENTS, End, GROWTH, LOOPS, TEXTS, With, component_recipe, hostile};
use components::Core;
use support::{BACKOFF, LIMITS, Outcome, calm, pipeline, trial};

/// What a batch may take: its deadline and 10 ms, and half a deadline more for a machine on which the clock of deadlines has
/// to wait for its turn. Without deadlines it would never end; if each call had its own, it would take two.
const MOST: Duration =
    LIMITS.deadline.saturating_add(Duration::from_millis(10)).saturating_add(Duration::from_millis(50));

/// All four promises at once, for each attack.
fn withstand(attacks: &[Attack]) {
    let calm = calm();
    assert_eq!((calm.scored, calm.health.failures.len()), (30 * 25, 0));
    for attack in attacks {
        let name = attack.name;
        let spec = match (trial(attack), attack.end) {
            (Ok(spec), End::Fails(_) | End::Harmless) => spec,
            (Err(why), End::NotTaken(what) | End::NotCompiled(what)) => {
                assert!(why.contains(what), "{name}: {why}, and not {what}");
                assert!(why.len() < 600 && !why.contains(char::is_control), "{name}: {why:?}");
                continue;
            }
            (Ok(_), _) => panic!("{name}: it is taken"),
            (Err(why), _) => panic!("{name}: it is not taken: {why}"),
        };
        let Outcome { health, scored, others, longest, summary } = pipeline(spec);
        assert_eq!(others, calm.others, "{name}: the other detector's scores");
        assert!(longest < MOST, "{name}: a batch took {longest:?}");
        assert!(health.memory as usize <= LIMITS.memory, "{name}: {health:?}");
        match attack.end {
            End::Fails(counter) => {
                assert!(health.failures.keys().eq([&counter]), "{name}: {health:?}");
                assert!(summary.contains(counter), "{name}: {summary}");
                if matches!(attack.with, With::Model(model) if model.ends_with(" 2")) {
                    assert!(scored >= 50, "{name}: what came before the attack is scored: {scored}");
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
fn attacks_have_names_of_their_own() {
    let mut names: Vec<_> = ALL.iter().copied().flatten().map(|attack| attack.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]) && names.len() > 60, "{names:?}");
}

#[test]
fn loops_end() {
    withstand(LOOPS);
}

#[test]
fn growth_ends() {
    withstand(GROWTH);
}

#[test]
fn wrong_answers_are_no_answers() {
    withstand(ANSWERS);
}

#[test]
fn texts_and_logs_do_no_harm() {
    withstand(TEXTS);
}

#[test]
fn components_can_do_no_more_than_others() {
    withstand(COMPONENTS);
}

#[test]
fn whoever_calls_what_it_may_not_is_told_so() {
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

/// With memory for it, a gigabyte can be handed over; it is not even looked at.
#[test]
fn a_gigabyte_that_is_there_is_not_taken() {
    let component = Core { pages: 17 << 10, kind: (0, 1 << 30), ..Core::default() }.build();
    let limits = Limits { memory: 2 << 30, ..LIMITS };
    let began = support::ran();
    let failure = Running::start(component_recipe(&component, limits).unwrap(), 1).unwrap_err();
    assert_eq!(failure.name(), "nonsense", "{failure}");
    // To copy it takes some tenths of a second.
    assert!(support::ran().saturating_sub(began) < MOST, "{:?}", support::ran().saturating_sub(began));
}

#[test]
fn what_a_guest_says_of_itself_is_fit_for_people() {
    let description = Running::start(hostile("describe-control"), 1).unwrap().description().clone();
    assert_eq!(description.kind, "line·E! forged·[2J·");
    assert_eq!(description.scale, description.version);
    let failure = Guest::start(&hostile("open-control")).unwrap_err().to_string();
    assert!(failure.contains("line·E! forged"), "{failure}");
}

/// Nothing in the sandbox is random: who has moods has the same ones each time, and so is found out by scores that were
/// recorded elsewhere.
#[test]
fn the_same_calls_give_the_same_scores_even_of_the_moody() {
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
    assert!(scores()[0].to_bits() != scores()[10].to_bits(), "they are moods");
}

#[test]
fn state_that_breaks_a_guest_harms_no_line() {
    for (attack, counter) in [("restore-loop", "deadline"), ("restore-trap", "trap"), ("restore-error", "")] {
        let state = tempfile::tempdir().unwrap();
        let mut config = Config::parse("", "none").unwrap();
        config.state.dir = Some(state.path().to_owned());
        let mut before = Scoring::with(&config, vec![hostile("calm")], BACKOFF).unwrap();
        let line = "m v=0.5 1\n";
        before.input()[..line.len()].copy_from_slice(line.as_bytes());
        before.run(line.len(), 0);
        before.close().unwrap();
        let mut after = Scoring::with(&config, vec![hostile(attack)], BACKOFF).unwrap();
        for _ in 0..3 {
            after.run_between_batches();
            after.input()[..line.len()].copy_from_slice(line.as_bytes());
            assert_eq!(qualm_pipeline::line::count_newlines(after.run(line.len(), 0)), 1, "{attack}");
        }
        let health = health(&after);
        assert_eq!(health.failures.keys().copied().collect::<Vec<_>>().concat(), counter, "{attack}");
        assert!(health.batches > 0, "{attack}: it scores, and learns anew: {health:?}");
    }
}

/// However little time there is between batches, all that is to be saved and restored is, where nothing waits for it.
#[test]
fn much_state_is_saved_and_restored_whole() {
    let state = tempfile::tempdir().unwrap();
    let mut config = Config::parse("", "none").unwrap();
    config.state.dir = Some(state.path().to_owned());
    config.limits.deadline = Duration::from_millis(60);
    let start = || {
        let model = config.detector[0].parameters().unwrap().to_model();
        let limits = Limits { deadline: config.limits.deadline, ..Limits::default() };
        let spec = DetectorSpec::new(&Sandbox::new(None), qualm_components::DETECTOR, model, limits).unwrap();
        Scoring::with(&config, vec![spec], BACKOFF).unwrap()
    };
    let mut scoring = start();
    let mut out = Vec::new();
    let lines: String = (0..400_000).map(|at| format!("m,t={at} v=0.5 1\n")).collect();
    scoring.score_body(lines.as_bytes(), 0, &mut out);
    scoring.close().unwrap();
    let after = start();
    assert!(after.summary().contains("400000 series"), "{}", after.summary());
    after.close().unwrap();
}

#[test]
fn ten_million_lines_pass_a_guest_that_traps_at_random() {
    let config = Config::parse("", "none").unwrap();
    let mut scoring = Scoring::with(&config, vec![hostile("trap-at-random")], BACKOFF).unwrap();
    // Each batch begins with a line of its own time, which decides whether it is one to trap on.
    let rest: String = (0..4999).map(|line| format!("m,t={} v=0.5 {line}\n", line % 100)).collect();
    for round in 0..2000 {
        let batch = format!("m v=0.5 {round}\n{rest}");
        scoring.input()[..batch.len()].copy_from_slice(batch.as_bytes());
        let out = scoring.run(batch.len(), 0);
        assert_eq!(qualm_pipeline::line::count_newlines(out), 5000);
        if round % 100 == 0 {
            let came = std::str::from_utf8(out).unwrap().lines();
            for (came, line) in came.zip(batch.lines()) {
                let (fields, time) = line.rsplit_once(' ').unwrap();
                assert!(came.starts_with(fields) && came.ends_with(time), "{came}");
            }
        }
        scoring.run_between_batches();
    }
    let (counts, health) = (scoring.counts(), health(&scoring));
    assert!(counts.events == 10_000_000 && counts.events == counts.selected, "{counts:?}");
    assert_eq!(counts.scored + health.unscored, counts.events);
    assert!(health.failures["trap"] > 50 && counts.scored > 1_000_000, "{counts:?} {health:?}");
}

fn health(scoring: &Scoring) -> Health {
    scoring.health().next().unwrap().1.clone()
}
