//! What is reported of live rows and of tables: drift, and none where there is none, whatever the rows and their times.

use std::sync::Arc;
use std::time::Duration;

use qualm_drift::{
    Compare, Distribution, Effects, Live, Options, Ordinary, Reference, Report, State, Test, compare_table,
};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

/// A window has 1600 rows.
const WINDOW: Duration = Duration::from_secs(1600);
const SECOND: i64 = 1_000_000_000;
const FEATURES: usize = 3;

/// Rows of a nearly normal feature, a constant, and one that is missing every other time; with scores.
struct Rows {
    random: Xoshiro256PlusPlus,
    row: i64,
}

impl Rows {
    fn new() -> Self {
        Self { random: Xoshiro256PlusPlus::seed_from_u64(1), row: 0 }
    }

    /// Mean 0, deviation 1.
    fn noise(&mut self) -> f64 {
        (0..12).map(|_| (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64).sum::<f64>() - 6.0
    }

    fn next(&mut self) -> (i64, [f64; FEATURES], f64) {
        self.row += 1;
        let values = [self.noise(), 7.5, if self.row % 2 == 0 { self.noise() } else { f64::NAN }];
        (self.row * SECOND, values, self.noise().abs() / 3.0)
    }
}

fn options() -> Options {
    Options { window: WINDOW, ..Options::default() }
}

fn live() -> (Rows, Live) {
    let mut rows = Rows::new();
    let training: Vec<_> = (0..8000).map(|_| rows.next()).collect();
    let times: Vec<i64> = training.iter().map(|row| row.0).collect();
    let values: Vec<f64> = training.iter().flat_map(|row| row.1).collect();
    let scores: Vec<f64> = training.iter().map(|row| row.2).collect();
    let reference = Reference::new(&times, &values, FEATURES, &scores, WINDOW).expect("there are as many of each");
    assert_eq!(reference.check(), Ok(()));
    (rows, Live::new(Arc::new(reference), options()))
}

/// Feeds as many rows, changed in this way.
fn feed(rows: &mut Rows, live: &mut Live, count: usize, change: impl Fn(&mut [f64; FEATURES], &mut f64)) -> Report {
    for _ in 0..count {
        let (time, mut values, mut score) = rows.next();
        change(&mut values, &mut score);
        live.observe(time, &values, score);
    }
    live.report().clone()
}

fn drifted(report: &Report) -> Vec<usize> {
    (0..report.features.len()).filter(|at| report.features[*at].drifted).collect()
}

#[test]
fn it_learns_until_a_window_is_full() {
    let (mut rows, mut live) = live();
    let report = feed(&mut rows, &mut live, 1600, |_, _| ());
    assert_eq!((report.state, report.rows, report.features[0].votes), (State::Learning, 0, 0));
    assert_eq!(report.features[1].reference.mean, Some(7.5));
    let report = feed(&mut rows, &mut live, 1, |_, _| ());
    assert_eq!((report.state, report.rows), (State::None, 1600));
}

#[test]
fn nothing_drifts_where_nothing_does() {
    let (mut rows, mut live) = live();
    let report = feed(&mut rows, &mut live, 20_000, |_, _| ());
    assert_eq!((report.state, report.score.drifted), (State::None, false));
    assert_eq!(report.features.iter().map(|feature| feature.votes).sum::<usize>(), 0);
    assert!((report.features[2].live.missing - 0.5).abs() < 1e-9);
}

#[test]
fn drift_is_reported_once_it_lasts_and_until_it_ends() {
    let (mut rows, mut live) = live();
    feed(&mut rows, &mut live, 4000, |_, _| ());
    let mut ends = Vec::new();
    for _ in 0..4800 {
        let (time, mut values, score) = rows.next();
        values[0] += 1.0;
        if live.observe(time, &values, score) {
            let feature = &live.report().features[0];
            assert_eq!(feature.in_a_row > 0, feature.votes >= options().consensus);
            assert_eq!(feature.drifted, feature.in_a_row >= options().sustained);
            ends.push(feature.in_a_row);
        }
    }
    let first = ends.iter().position(|in_a_row| *in_a_row == 1).unwrap();
    assert!(first > 0 && first < 8, "{ends:?}");
    assert!(ends[first..].iter().zip(1..).all(|(in_a_row, expected)| *in_a_row == expected), "{ends:?}");
    let report = live.report().clone();
    assert_eq!((report.state, drifted(&report)), (State::Drifting, vec![0]));
    let feature = &report.features[0];
    assert!((feature.live.mean.unwrap() - 1.0).abs() < 0.1 && feature.votes == 5, "{feature:?}");
    assert!(feature.tests.iter().all(|test| test.statistic > test.level));
    let with_p_value = feature.tests.iter().filter(|test| test.p_value.is_some_and(|p_value| p_value < 1e-6));
    assert_eq!(with_p_value.map(|test| test.test).collect::<Vec<_>>(), [Test::KolmogorovSmirnov, Test::ChiSquare]);
    assert_eq!(feed(&mut rows, &mut live, 3300, |_, _| ()).state, State::None);
}

#[test]
fn a_constant_may_not_move() {
    let (mut rows, mut live) = live();
    // Rounding is no drift.
    let report = feed(&mut rows, &mut live, 4000, |values, _| values[1] *= 1.0 + 1e-14);
    assert_eq!((report.state, report.features[1].votes), (State::None, 1));
    let report = feed(&mut rows, &mut live, 5000, |values, _| values[1] = 7.6);
    assert_eq!((drifted(&report), report.features[1].votes), (vec![1], 5));
    assert!(report.features[1].tests.iter().all(|test| test.statistic.is_finite()), "{report:?}");
}

#[test]
fn a_metric_that_wanders_drifts_to_a_level_that_training_never_had() {
    let (mut rows, live) = live();
    let mut reference = Reference::clone(live.reference());
    // Windows of training were as far apart as can be.
    let Effects { ks, stability_index, wasserstein, jensen_shannon, chi_square, .. } =
        &mut reference.features[0].ordinary;
    (*ks, *stability_index, *wasserstein, *jensen_shannon, *chi_square) = (1.0, 20.0, 5.0, 1.0, 5.0);
    let mut live = Live::new(Arc::new(reference), options());
    let report = feed(&mut rows, &mut live, 6000, |values, _| values[0] += 1.0);
    assert_eq!((report.state, report.features[0].votes), (State::None, 0));
    let report = feed(&mut rows, &mut live, 6000, |values, _| values[0] += 5.0);
    assert_eq!((drifted(&report), report.features[0].votes), (vec![0], 0));
    let Compare { reference, live: now, level, drifted, .. } = report.features[0].beyond;
    assert_eq!((reference, drifted), (Some(0.01), true));
    assert!((level - 0.3).abs() < 1e-9 && now.is_some_and(|share| share > 0.9), "{now:?} {level}");
}

#[test]
fn a_feature_that_disappears_drifts() {
    let (mut rows, mut live) = live();
    let report = feed(&mut rows, &mut live, 5000, |values, _| values[0] = f64::NAN);
    assert_eq!((report.state, drifted(&report), report.features[0].votes), (State::Drifting, vec![0], 0));
    let Compare { reference, live: now, drifted, .. } = report.features[0].missing;
    assert_eq!((reference, now, drifted, report.features[0].live.mean), (Some(0.0), Some(1.0), true, None));
    // So does one that appears.
    let report =
        feed(&mut rows, &mut live, 5000, |values, _| values[2] = if values[2].is_nan() { 0.1 } else { values[2] });
    assert!(report.features[2].missing.drifted);
}

#[test]
fn errors_and_alarms_drift() {
    let (mut rows, mut live) = live();
    let report = feed(&mut rows, &mut live, 5000, |_, score| *score = *score * 2.0 + 0.2);
    assert!(report.error_median.drifted && report.error_p95.drifted && report.alarm_rate.drifted, "{report:?}");
    assert!(report.score.drifted && report.state == State::Drifting && drifted(&report).is_empty());
    assert!(report.alarm_rate.live.unwrap() > 0.1 && report.alarm_rate.effect > 10.0);
}

#[test]
fn an_incident_is_no_drift_of_the_alarm_rate() {
    let (mut rows, mut live) = live();
    feed(&mut rows, &mut live, 2000, |_, _| ());
    feed(&mut rows, &mut live, 100, |_, score| *score = 5.0);
    let report = feed(&mut rows, &mut live, 1000, |_, _| ());
    assert!(report.alarm_rate.live.unwrap() > 0.05 && !report.alarm_rate.drifted, "{:?}", report.alarm_rate);
    assert_eq!(report.state, State::None);
}

#[test]
fn no_scores_are_no_drift() {
    let (mut rows, mut live) = live();
    let report = feed(&mut rows, &mut live, 5000, |_, score| *score = f64::NAN);
    // But that there are none any more is one.
    assert!(report.score.missing.drifted && !report.error_median.drifted && report.error_median.live.is_none());
}

#[test]
fn the_same_rows_give_the_same_report() {
    let of = || {
        let (mut rows, mut live) = live();
        format!("{:?}", feed(&mut rows, &mut live, 9000, |values, _| values[0] *= 1.3))
    };
    assert_eq!(of(), of());
}

#[test]
fn any_times_and_values_do() {
    let (mut rows, mut live) = live();
    let numbers =
        [0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 1e-320, -0.0, 1e150, -1e150, 7.5];
    for at in 0..100_000 {
        let pick = |random: &mut Xoshiro256PlusPlus| numbers[(random.next_u64() % numbers.len() as u64) as usize];
        let values = [pick(&mut rows.random), pick(&mut rows.random), pick(&mut rows.random)];
        let time = match rows.random.next_u64() % 50 {
            0 => rows.random.next_u64() as i64,
            _ => at * SECOND,
        };
        let score = pick(&mut rows.random);
        live.observe(time, &values, score);
    }
    let report = live.report();
    assert_eq!(report.state, State::Drifting);
    let columns = report.features.iter().chain([&report.score]);
    for column in columns {
        assert!(column.live.mean.unwrap().is_finite() && column.live.deviation.unwrap().is_finite(), "{column:?}");
        assert!(column.tests.iter().all(|test| test.statistic.is_finite() && test.p_value.is_none_or(f64::is_finite)));
    }
}

#[test]
fn a_row_allocates_nothing() {
    let (mut rows, mut live) = live();
    feed(&mut rows, &mut live, 3000, |_, _| ());
    let mut allocated = 0;
    for _ in 0..2000 {
        let (time, values, score) = rows.next();
        let mut ended = false;
        let info = allocation_counter::measure(|| ended = live.observe(time, &values, score));
        if ended {
            // What testing takes is given back.
            assert_eq!(info.count_current, 0);
        } else {
            allocated += info.count_total;
        }
    }
    assert_eq!(allocated, 0);
}

#[test]
fn a_table_is_compared_at_once() {
    let (mut rows, live) = live();
    let (mut values, mut scores) = (Vec::new(), Vec::new());
    for _ in 0..3000 {
        let (_, mut row, score) = rows.next();
        row[0] *= 2.0;
        values.extend(row);
        scores.push(score);
    }
    let reference = live.reference();
    let report = compare_table(reference, &values, &scores, &options()).unwrap();
    assert_eq!((report.state, drifted(&report), report.rows), (State::Drifting, vec![0], 3000));
    assert!((report.features[0].live.deviation.unwrap() - 2.0).abs() < 0.1);
    assert!(compare_table(reference, &values[1..], &scores, &options()).is_err());
    let nothing = compare_table(reference, &[], &[], &options()).unwrap();
    assert_eq!(nothing.state, State::Learning);
}

#[test]
fn a_reference_of_extremes_does_no_harm() {
    let mut score = Distribution::new((0..1000).map(f64::from));
    score.quantiles = [vec![-f64::MAX; 100], vec![f64::MAX; 101]].concat();
    score.counts.fill(f64::MAX / 11.0);
    score.edges = (0..9).map(|at| -1e308 + f64::from(at) * 2e307).collect();
    let mut none = score.clone();
    (none.counts, none.deviation) = ([vec![5e-324], vec![0.0; 9]].concat(), f64::MAX);
    let features = vec![score.clone(), none, Distribution::new([].into_iter())];
    for alarm_rate in [0.0, 1e-300, 1.0] {
        let ordinary = Ordinary { burst: f64::MAX, median: f64::MAX, ..Ordinary::default() };
        let reference = Reference { features: features.clone(), score: score.clone(), alarm_rate, ordinary };
        assert_eq!(reference.check(), Ok(()));
        let mut live = Live::new(Arc::new(reference), options());
        let report = feed(&mut Rows::new(), &mut live, 4000, |_, _| ());
        for column in report.features.iter().chain([&report.score]) {
            assert!(column.tests.iter().all(|test| test.statistic.is_finite() && !test.level.is_nan()), "{column:?}");
        }
        assert!(report.alarm_rate.effect.is_finite() && report.error_p95.effect.is_finite(), "{report:?}");
    }
}

#[test]
fn without_features_there_is_the_score() {
    let reference = Reference::new(&[], &[], 0, &[], WINDOW).unwrap();
    let mut live = Live::new(Arc::new(reference), options());
    for at in 0..4000 {
        live.observe(at * SECOND, &[], 0.5);
    }
    assert!(live.report().score.missing.drifted && live.report().features.is_empty());
}
