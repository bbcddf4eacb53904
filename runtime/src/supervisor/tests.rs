//! Supervision of real guests: those of the built-in detector, and of one that misbehaves on request.

use qualm_core::streaming::{Parameters, Prior};
use qualm_pipeline::Rows;
use qualm_sandbox::Sandbox;
use qualm_sandbox::thread_time;

use super::*;

const QUICK: Backoff =
    Backoff { first: Duration::from_millis(20), longest: Duration::from_millis(50), reset: Duration::from_mins(1) };

const HOUR: Duration = Duration::from_hours(1);

fn supervisor(component: &[u8], model: &[u8]) -> Supervisor {
    let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
    let spec = DetectorSpec::new(&Sandbox::new(None), component, model.to_vec(), limits).unwrap();
    Supervisor::new("d", Some(Running::start(spec, 1).unwrap()), false, QUICK)
}

fn score(supervisor: &mut Supervisor, series: u32, time: i64, value: f64) -> f64 {
    let (mut rows, mut verdicts) = (Rows::default(), Verdicts::default());
    rows.add(series, time, value);
    supervisor.relate_series(&rows.series[..rows.groups.len()], &rows.groups);
    supervisor.score_batch(rows.batch(), rows.wanted(), &mut verdicts).unwrap();
    assert_eq!(verdicts.scores.len(), 1);
    verdicts.scores[0]
}

/// The score of a batch that comes at this time, by the clock of the breaker.
fn score_at(supervisor: &mut Supervisor, now: Instant) -> f64 {
    let (mut rows, mut verdicts) = (Rows::default(), Verdicts::default());
    rows.add(0, 0, 0.5);
    supervisor.score_at(now, rows.batch(), rows.wanted(), &mut verdicts);
    verdicts.scores[0]
}

#[test]
fn a_guest_that_traps_is_started_anew() {
    let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"trap 100");
    let scored = (0..505).filter(|_| !score(&mut supervisor, 0, 0, 0.5).is_nan()).count();
    let health = supervisor.health();
    assert_eq!((scored, health.failures["trap"], health.starts, health.rests), (500, 5, 5, 0), "{health:?}");
}

#[test]
fn a_model_that_fails_gives_way_to_the_one_before() {
    let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
    let good = DetectorSpec::new(&Sandbox::new(None), qualm_test_plugins::HOSTILE, b"fine".to_vec(), limits).unwrap();
    let bad = good.with_model(b"trap".to_vec());
    let mut supervisor = Supervisor::new("d", None, false, QUICK);
    let series = SeriesTable::new(qualm_pipeline::Limits::default());
    assert!(score(&mut supervisor, 0, 0, 0.5).is_nan(), "there is no model as yet");
    supervisor.swap(Running::start(good, 1).unwrap(), Some(&series));
    assert_eq!(score(&mut supervisor, 0, 0, 0.5).to_bits(), 0.5_f64.to_bits());
    supervisor.swap(Running::start(bad, 1).unwrap(), Some(&series));
    let scored = (0..10).filter(|_| !score(&mut supervisor, 0, 0, 0.5).is_nan()).count();
    let health = supervisor.health();
    assert_eq!((scored, health.failures["trap"], health.swaps, health.fallbacks), (7, 3, 2, 1), "{health:?}");
}

/// The old guest may take its time to save, and the new one to restore: together no more than a batch has, with the
/// next batch.
#[test]
fn whoever_is_slow_delays_a_swap_by_no_more_than_a_batch() {
    let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
    let spec = |model: &str| {
        DetectorSpec::new(&Sandbox::new(None), qualm_test_plugins::HOSTILE, model.as_bytes().to_vec(), limits).unwrap()
    };
    let mut series = SeriesTable::new(qualm_pipeline::Limits::default());
    let number = series.number(1);
    let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"save-loop");
    score(&mut supervisor, number, 0, 0.5);
    supervisor.restore_from(vec![Arc::new(SeriesSnapshot {
        identities: vec![1],
        ages: vec![0],
        state: b"a".to_vec(),
    })]);
    let next = Running::start(spec("restore-loop"), 1).unwrap();
    let began = thread_time();
    supervisor.start_pause();
    supervisor.swap(next, Some(&series));
    supervisor.save_or_restore_slice(&series);
    assert_eq!(score(&mut supervisor, number, 0, 0.5).to_bits(), 0.5_f64.to_bits(), "the new guest scores");
    let took = thread_time().saturating_sub(began);
    assert!(took > limits.deadline / 4 && took < limits.deadline * 5 / 4, "{took:?}");
}

#[test]
fn one_that_did_not_start_is_tried_again() {
    let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
    let spec = DetectorSpec::new(&Sandbox::new(None), qualm_test_plugins::HOSTILE, b"fine".to_vec(), limits).unwrap();
    let began = Instant::now();
    let mut supervisor = Supervisor::not_started("d", spec, false, Backoff { first: HOUR, longest: HOUR, ..QUICK });
    let ended = Instant::now();
    assert!(score_at(&mut supervisor, began).is_nan() && supervisor.mode() == Mode::Resting);
    assert_eq!(score_at(&mut supervisor, ended + HOUR).to_bits(), 0.5_f64.to_bits());
    assert_eq!(supervisor.mode(), Mode::Scoring);
}

#[test]
fn without_a_model_there_is_nothing_to_restore() {
    let mut supervisor = Supervisor::new("d", None, false, QUICK);
    supervisor.restore_from(Vec::new());
    assert!(!supervisor.is_busy(), "whoever waits for its end would wait for ever");
}

#[test]
fn a_new_model_goes_on_where_the_old_one_was() {
    let model = Parameters { min_samples: 10, ..Parameters::default() }.to_model();
    let mut series = SeriesTable::new(qualm_pipeline::Limits::default());
    let number = series.number(1);
    let (mut swapped, mut kept) =
        (supervisor(qualm_components::DETECTOR, &model), supervisor(qualm_components::DETECTOR, &model));
    for time in 0..50 {
        for supervisor in [&mut swapped, &mut kept] {
            score(supervisor, number, time * 1_000_000_000, (time % 7) as f64);
        }
    }
    let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
    let spec = DetectorSpec::new(&Sandbox::new(None), qualm_components::DETECTOR, model, limits).unwrap();
    assert!(Running::start(spec.clone(), 2).unwrap_err().to_string().contains("1 features, where a row has 2"));
    swapped.swap(Running::start(spec.clone(), 1).unwrap(), Some(&series));
    let both = [&mut swapped, &mut kept].map(|one| score(one, number, 50_000_000_000, 100.0).to_bits());
    assert_eq!(both[0], both[1]);
    swapped.swap(Running::start(spec, 1).unwrap(), None);
    assert!(score(&mut swapped, number, 51_000_000_000, 100.0).is_nan(), "rows of something else: a fresh start");
}

#[test]
fn a_guest_that_fails_now_and_then_rests_as_well() {
    let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"trap 2");
    let scored = (0..9).filter(|_| !score(&mut supervisor, 0, 0, 0.5).is_nan()).count();
    assert_eq!((scored, supervisor.health().rests), (6, 1), "{:?}", supervisor.health());
    assert!(score(&mut supervisor, 0, 0, 0.5).is_nan(), "it is left alone");
}

/// What is built in never fails for the number of rows: there may be as many in a batch as a mebibyte has bytes for, and
/// where they do not fit a short deadline, the rest of them passes unscored.
#[test]
fn what_is_built_in_never_rests_however_much_comes() {
    let model = Parameters { min_samples: 2, prior: Prior::Siblings, ..Parameters::default() }.to_model();
    for (deadline, whole) in [(Duration::from_millis(100), true), (Duration::from_millis(20), false)] {
        let limits = Limits { deadline, ..Limits::default() };
        let sandbox = Sandbox::new(None);
        let spec = DetectorSpec::new(&sandbox, qualm_components::DETECTOR, model.clone(), limits).unwrap();
        let running = Running::start(spec, 1).unwrap();
        let mut supervisor = Supervisor::new("d", Some(running), false, QUICK).relating(true);
        let series: Vec<u32> = (0..200_000).collect();
        let mut verdicts = Verdicts::default();
        for time in 0..5 {
            let mut rows = Rows::default();
            for &series in &series {
                rows.add(series, time * 10_000_000_000, f64::from(series) + time as f64);
                rows.groups.push(u64::from(series));
            }
            verdicts.clear();
            supervisor.relate_series(&rows.series[..rows.groups.len()], &rows.groups);
            supervisor.score_batch(rows.batch(), rows.wanted(), &mut verdicts).unwrap();
        }
        let scored = verdicts.scores.iter().filter(|score| !score.is_nan()).count();
        assert!(scored == series.len() || !whole && scored > 1000, "{deadline:?}: {scored}");
        supervisor.forget_series(&series).unwrap();
        let Health { starts, rests, ref failures, .. } = *supervisor.health();
        assert_eq!((starts, rests, failures.keys().all(|name| *name == "slow")), (1, 0, true), "{failures:?}");
    }
}

#[test]
fn state_that_a_guest_fails_on_is_lost_and_nothing_else() {
    let series = SeriesTable::new(qualm_pipeline::Limits::default());
    let slice = |state: &[u8]| Arc::new(SeriesSnapshot { identities: vec![1], ages: vec![0], state: state.to_vec() });
    for (attack, counted) in
        [("restore-trap", Some("trap")), ("restore-loop", Some("deadline")), ("restore-error", None)]
    {
        let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, attack.as_bytes());
        supervisor.restore_from(vec![slice(b"a"), slice(b"b")]);
        for _ in 0..10 {
            supervisor.save_or_restore_slice(&series);
            score(&mut supervisor, 0, 0, 0.5);
        }
        assert!(supervisor.saved().is_empty() && supervisor.lost_state() && !supervisor.is_busy(), "{attack}");
        assert!(supervisor.health().failures.keys().eq(counted.iter()), "{attack}: {:?}", supervisor.health());
        assert_eq!(score(&mut supervisor, 0, 0, 0.5).to_bits(), 0.5_f64.to_bits(), "{attack}: it scores again");
    }
}

#[test]
fn what_fails_every_time_is_left_alone_and_tried_again() {
    let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"trap");
    let now = Instant::now();
    for _ in 0..1000 {
        assert!(score_at(&mut supervisor, now).is_nan());
    }
    let Health { unscored, rests, ref failures, .. } = *supervisor.health();
    assert_eq!((failures["trap"], rests, unscored), (3, 1, 1000), "most batches did not even try");
    assert!(score_at(&mut supervisor, now + QUICK.first).is_nan());
    assert_eq!(supervisor.health().failures["trap"], 4, "it is tried again");
}

#[test]
fn only_what_fails_time_and_again_is_resting() {
    let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"trap");
    let now = Instant::now();
    for (failures, mode) in [(1, Mode::Scoring), (2, Mode::Scoring), (3, Mode::Resting)] {
        assert!(score_at(&mut supervisor, now).is_nan());
        assert_eq!((supervisor.health().failures["trap"], supervisor.mode()), (failures, mode));
    }
    assert!(score_at(&mut supervisor, now + QUICK.first).is_nan());
    assert_eq!(supervisor.health().failures["trap"], 4);
    assert_eq!(supervisor.mode(), Mode::Resting, "it has not scored anything since");
}

#[test]
fn what_traps_once_is_not_resting() {
    let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"trap 2");
    let scores = [(); 3].map(|()| {
        let score = score(&mut supervisor, 0, 0, 0.5);
        assert_eq!(supervisor.mode(), Mode::Scoring);
        score.is_nan()
    });
    assert_eq!(scores.iter().filter(|nan| **nan).count(), 1, "{scores:?}");
}

#[test]
fn a_new_model_has_a_breaker_of_its_own() {
    let limits = Limits { memory: 64 << 20, deadline: Duration::from_millis(250) };
    let spec = DetectorSpec::new(&Sandbox::new(None), qualm_test_plugins::HOSTILE, b"trap".to_vec(), limits).unwrap();
    let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"trap");
    let mut now = Instant::now();
    for rests in 1..=3 {
        while supervisor.health().rests < rests {
            score_at(&mut supervisor, now);
        }
        now += QUICK.longest;
    }
    supervisor.swap(Running::start(spec, 1).unwrap(), None);
    for _ in 0..5 {
        score_at(&mut supervisor, now);
    }
    let Health { rests, ref failures, .. } = *supervisor.health();
    assert_eq!((failures["trap"], rests), (12, 4), "the new one failed three times, and is left alone");
    score_at(&mut supervisor, now + QUICK.first);
    assert_eq!(supervisor.health().failures["trap"], 13, "for the first backoff, as the old one was at first");
}

#[test]
fn a_guest_that_was_started_anew_goes_on_from_what_was_saved() {
    let model = Parameters { min_samples: 10, ..Parameters::default() }.to_model();
    let mut series = SeriesTable::new(qualm_pipeline::Limits { ttl: 40_000_000_000, ..Default::default() });
    let mut supervisor = supervisor(qualm_components::DETECTOR, &model);
    let (kept, other) = (series.number(1), series.number(2));
    let second = 1_000_000_000;
    for time in 0..50 {
        for number in [kept, other] {
            score(&mut supervisor, number, time * second, (time % 7) as f64);
        }
    }
    supervisor.begin_saving();
    while supervisor.is_busy() {
        supervisor.save_or_restore_slice(&series);
    }
    let expected = {
        let mut twin = self::supervisor(qualm_components::DETECTOR, &model);
        twin.restore_from(supervisor.saved().to_vec());
        while twin.is_busy() {
            twin.save_or_restore_slice(&series);
        }
        score(&mut twin, kept, 50 * second, 100.0)
    };
    assert!(expected > 0.0);
    // While the guest is down, the other series goes, and its number comes to mean a third one.
    supervisor.record_failure(&Failure::Trap("for the test".to_owned()), Instant::now());
    series.advance_clock(0);
    series.advance_clock(50_000_000_000);
    assert_eq!(series.number(1), kept);
    series.drop_expired(2, &mut Vec::new());
    assert_eq!(series.number(3), other);
    score(&mut supervisor, 99, 0, 0.0); // starts it
    while supervisor.is_busy() {
        supervisor.save_or_restore_slice(&series);
    }
    assert_eq!(score(&mut supervisor, kept, 50 * second, 100.0).to_bits(), expected.to_bits());
    assert!(score(&mut supervisor, other, 50 * second, 100.0).is_nan(), "the third series has no past");
}

/// Scores a row of a pod, whose siblings are all the others.
fn score_pod(supervisor: &mut Supervisor, series: u32, row: i64, value: f64) -> f64 {
    let (mut rows, mut verdicts) = (Rows::default(), Verdicts::default());
    rows.add(series, row * 10_000_000_000, value);
    rows.groups.push(1);
    supervisor.relate_series(&rows.series[..rows.groups.len()], &rows.groups);
    supervisor.score_batch(rows.batch(), rows.wanted(), &mut verdicts).unwrap();
    verdicts.scores[0]
}

#[test]
fn a_new_series_starts_from_its_siblings_after_the_guest_was_started_anew_too() {
    let model = Parameters { prior: Prior::Siblings, ..Parameters::default() }.to_model();
    let mut series = SeriesTable::new(qualm_pipeline::Limits::default());
    for relates in [true, false] {
        let mut supervisor = supervisor(qualm_components::DETECTOR, &model).relating(relates);
        let mut scored = |supervisor: &mut Supervisor, pods: std::ops::Range<u64>| -> Vec<bool> {
            pods.map(|pod| {
                let number = series.number(pod + 1);
                let scores = (0..11).map(|row| {
                    let row = 100 * pod as i64 + row;
                    score_pod(supervisor, number, row, (row * 7919 % 13 + 5) as f64)
                });
                !scores.last().unwrap().is_nan()
            })
            .collect()
        };
        let first = scored(&mut supervisor, 0..150);
        assert_eq!((first[0], first[149]), (false, relates), "{first:?}");
        supervisor.begin_saving();
        while supervisor.is_busy() {
            supervisor.save_or_restore_slice(&series_of(150));
        }
        supervisor.record_failure(&Failure::Trap("for the test".to_owned()), Instant::now());
        score_pod(&mut supervisor, 9999, 0, 0.0); // starts it
        while supervisor.is_busy() {
            supervisor.save_or_restore_slice(&series_of(150));
        }
        assert_eq!(scored(&mut supervisor, 150..152), [relates; 2]);
    }
}

/// A table in which so many series have the numbers that they have elsewhere.
fn series_of(count: u64) -> SeriesTable {
    let mut series = SeriesTable::new(qualm_pipeline::Limits::default());
    (0..count).for_each(|pod| _ = series.number(pod + 1));
    series
}

#[test]
fn a_guest_that_fails_on_siblings_leaves_the_batch_unscored() {
    let mut supervisor = supervisor(qualm_test_plugins::HOSTILE, b"relate-trap").relating(true);
    assert!(score_pod(&mut supervisor, 0, 0, 0.5).is_nan());
    assert_eq!(supervisor.health().failures["trap"], 1);
}

#[test]
fn a_state_that_is_refused_is_a_fresh_start() {
    let mut supervisor = supervisor(qualm_components::DETECTOR, &Parameters::default().to_model());
    let series = SeriesTable::new(qualm_pipeline::Limits::default());
    supervisor.restore_from(vec![Arc::new(SeriesSnapshot {
        identities: vec![1],
        ages: vec![0],
        state: b"old".to_vec(),
    })]);
    while supervisor.is_busy() {
        supervisor.save_or_restore_slice(&series);
    }
    assert!(supervisor.saved().is_empty());
    assert!(supervisor.health.failures.is_empty() && supervisor.guest.is_some());
}
