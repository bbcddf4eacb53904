use super::super::incident::MAX_ORDINARY_SCORE;
use super::super::{Prior, Zone};
use super::*;

const MINUTE: i64 = 60_000_000_000;
const YEAR: i64 = 525_600 * MINUTE;
/// Half-life of an hour, rows of a minute.
const QUICK: Parameters =
    Parameters { half_life: 3600.0, false_alarm_rate: 1e-4, min_samples: 7, zone: Zone::UTC, prior: Prior::None };

/// Half-life of three days, as for daily swings.
const USUAL: Parameters =
    Parameters { half_life: 259_200.0, false_alarm_rate: 1e-4, min_samples: 100, zone: Zone::UTC, prior: Prior::None };

const T: Tuning = Tuning::SHIPPED;

/// A series with its parameters, and a linear congruential generator (Knuth's MMIX constants).
struct Run(Series, Parameters, Shared, u64);

impl Run {
    fn new(parameters: Parameters) -> Self {
        let shared = Shared::new(&parameters, T, 1);
        Self(Series::new(), parameters, shared, 1)
    }

    fn at(&mut self, time_ns: i64, value: f64) -> Verdict {
        self.0.score_value(&self.1, &mut self.2, None, time_ns, value, true)
    }

    /// Uniform in (0, 1).
    fn uniform(&mut self) -> f64 {
        self.3 = self.3.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.3 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Standard Gaussian (Box & Muller 1958).
    fn gaussian(&mut self) -> f64 {
        (-2.0 * libm::log(self.uniform())).sqrt() * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    fn gaussian_at(&mut self, _: i64) -> f64 {
        self.gaussian()
    }

    /// Scores `level` plus noise, a row a minute from row `from`; the alarms among them.
    fn alarms(&mut self, from: i64, rows: i64, level: f64) -> usize {
        (from..from + rows)
            .filter(|i| {
                let value = level + self.gaussian();
                self.at(i * MINUTE, value).score > 1.0
            })
            .count()
    }
}

/// What `read` makes of what `write` wrote.
fn read_back(series: &Series) -> Option<Series> {
    let mut bytes = Vec::new();
    series.write_state(&mut bytes);
    let rest = &mut bytes.as_slice();
    Series::read_state(rest).filter(|_| rest.is_empty())
}

#[test]
fn warm_up_lasts_min_samples_at_any_step() {
    for step in [0, 1, MINUTE, YEAR / 12] {
        let mut run = Run::new(Parameters { min_samples: 100, ..QUICK });
        let first = (0..200).find(|i| !run.at(i * step, 1.0).score.is_nan()).unwrap_or(200);
        assert!((100..=105).contains(&first), "step {step}: {first}");
    }
}

#[test]
fn a_spike_alarms_and_is_not_learned() {
    let mut run = Run::new(QUICK);
    run.alarms(0, 1000, 0.0);
    let spike = run.at(1000 * MINUTE, 30.0);
    assert!(spike.score > 1.0 && spike.deviation > 20.0, "{spike:?}");
    assert!(run.at(1001 * MINUTE, -30.0).deviation < -20.0);
    assert!(run.at(1002 * MINUTE, 0.0).deviation.abs() < 1.0);
}

#[test]
fn a_level_shift_is_absorbed_in_five_half_lives() {
    let mut run = Run::new(QUICK);
    run.alarms(0, 3000, 0.0);
    assert!(run.alarms(3000, 6, 100.0) >= 1);
    assert!(run.at(3006 * MINUTE, 100.0).deviation > 20.0, "not at once");
    run.alarms(3007, 5 * 60, 100.0);
    let absorbed = run.at(3307 * MINUTE, 100.0);
    assert!(absorbed.deviation.abs() < 10.0, "{absorbed:?}");
    assert_eq!(run.alarms(3308, 3000, 100.0), 0);
}

#[test]
fn a_long_gap_leads_back_to_warming_up() {
    let mut run = Run::new(QUICK);
    run.alarms(0, 1000, 0.0);
    assert!(!run.at(1010 * MINUTE, 0.0).score.is_nan(), "a short one does not");
    let start = 1011 + YEAR / MINUTE;
    for i in start..start + 7 {
        let value = 500.0 + run.gaussian();
        assert!(run.at(i * MINUTE, value).score.is_nan());
    }
    let alarms = run.alarms(start + 7, 1000, 500.0);
    assert!(alarms <= 3, "{alarms} alarms");
}

#[test]
fn strange_clocks_raise_no_alarm_storm() {
    let clocks: [fn(i64) -> i64; 6] = [
        |_| 0,
        |i| -i * MINUTE,
        |i| i % 2 * YEAR,
        |i| i * MINUTE + i64::from(i > 2000) * YEAR,
        |i| if i % 2 == 0 { i64::MIN } else { i64::MAX },
        |i| i * i * 1_000_000_000,
    ];
    for (kind, clock) in clocks.iter().enumerate() {
        let mut run = Run::new(QUICK);
        let alarms = (0..4000)
            .filter(|&i| {
                let value = run.gaussian();
                run.at(clock(i), value).score > 1.0
            })
            .count();
        assert!(alarms <= 8, "clock {kind}: {alarms} alarms");
    }
}

#[test]
fn learning_goes_on_after_a_clock_was_put_back() {
    let mut run = Run::new(QUICK);
    run.at(YEAR, 0.0);
    run.alarms(0, 1000, 0.0);
    run.alarms(1000, 600, 3.0);
    assert!(run.at(1600 * MINUTE, 3.0).deviation.abs() < 1.0, "an unfaded weight would still be near 0");
}

#[test]
fn a_constant_then_a_change() {
    for (constant, changed) in [(0.0, 1.0), (5.0, 6.0), (1e9, 2e9), (1e-6, 2e-6)] {
        let mut run = Run::new(QUICK);
        // An ever longer run is no news.
        assert!((0..500).all(|i| run.at(i * MINUTE, constant).score.max(0.0) < 1e-4));
        let score = run.at(500 * MINUTE, changed).score;
        assert!((1.0..100.0).contains(&score), "{constant} to {changed}: {score}");
    }
}

#[test]
fn rare_events_stop_alarming_once_known() {
    let mut run = Run::new(USUAL);
    let scores: Vec<_> = (0..20_000).map(|i| run.at(i * MINUTE, f64::from(u8::from(i % 500 == 499))).score).collect();
    assert!(scores[499] > 1.0);
    let late = scores.iter().skip(5000).filter(|score| **score > 1.0).count();
    assert_eq!(late, 0);
}

#[test]
fn ordinary_streams_alarm_no_more_often_than_asked_and_not_never() {
    let rows = 300_000;
    let heavy: [fn(&mut Run) -> f64; 3] =
        [Run::gaussian, |run| libm::log(run.uniform()), |run| libm::exp(-0.5 * libm::log(run.uniform()))];
    for (kind, draw) in heavy.iter().enumerate() {
        let mut run = Run::new(Parameters { false_alarm_rate: 1e-2, ..USUAL });
        let alarms = (0..rows)
            .filter(|i| {
                let value = draw(&mut run);
                run.at(i * MINUTE, value).score > 1.0
            })
            .count();
        let rate = alarms as f64 / rows as f64;
        assert!((1e-3..1.2e-2).contains(&rate), "stream {kind}: {rate}");
    }
}

#[test]
fn a_counter_that_leaps_leaves_the_state_finite() {
    let mut run = Run::new(QUICK);
    (0..200).for_each(|i| _ = run.at(i, i as f64 * 1e290));
    let leap = run.at(200, f64::MAX);
    assert!(leap.score.is_finite() && leap.deviation.is_finite(), "{leap:?}");
    let mut bytes = Vec::new();
    run.0.write_state(&mut bytes);
    assert!(Series::read_state(&mut bytes.as_slice()).is_some(), "{:?}", run.0);
}

#[test]
fn missing_and_infinite_values_teach_nothing() {
    let mut run = Run::new(QUICK);
    run.alarms(0, 100, 0.0);
    let before = run.0.clone();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(run.at(YEAR, value).score.is_nan());
    }
    assert_eq!(run.0, before);
}

#[test]
fn any_finite_value_leaves_scores_and_state_finite() {
    let values = [0.0, 1e300, -1e300, f64::MAX, -f64::MAX, 5e-324, 1.0, -1e-300, 1e150];
    for start in 0..values.len() {
        let mut run = Run::new(QUICK);
        for i in 0..3000 {
            let pick = (run.uniform() * if i < 50 { 1.0 } else { values.len() as f64 }) as usize;
            let verdict = run.at(i * MINUTE, values[(start + pick) % values.len()]);
            assert!(verdict.score.is_nan() || (0.0..1000.0).contains(&verdict.score), "{verdict:?}");
            let mut bytes = Vec::new();
            run.0.write_state(&mut bytes);
            assert!(Series::read_state(&mut bytes.as_slice()).is_some(), "{:?}", run.0);
        }
    }
}

#[test]
fn farther_beyond_everything_seen_scores_no_less() {
    let mut run = Run::new(QUICK);
    run.alarms(0, 500, 0.0);
    let mut most = 0.0;
    for i in 0..2000 {
        let score = Run(run.0.clone(), QUICK, run.2.clone(), 1).at(500 * MINUTE, 8.0 + f64::from(i) * 0.02).score;
        // The rank average may lower a score a little.
        assert!(score > most - 0.1 && (i == 0 || score - most < 0.3), "{i}: {most} {score}");
        most = max(most, score);
    }
    assert!(most > 1.0);
}

#[test]
fn each_look_has_its_reason_and_what_is_over_has_none() {
    // The reason of the first score above 1 after so much of what is ordinary.
    let reason = |ordinary: &dyn Fn(&mut Run, i64) -> f64, odd: &dyn Fn(&mut Run, i64) -> f64| {
        let mut run = Run::new(USUAL);
        for at in 0..4000 {
            let value = ordinary(&mut run, at);
            let verdict = run.at(at * MINUTE, value);
            let quiet = verdict.score.is_nan() || verdict.score <= MAX_ORDINARY_SCORE;
            assert!(!quiet || verdict.reason == Reason::None, "{verdict:?}");
        }
        let first = (4000..4400).find_map(|at| {
            let value = odd(&mut run, at);
            Some(run.at(at * MINUTE, value)).filter(|verdict| verdict.score > 1.0)
        });
        first.expect("it is an anomaly").reason
    };
    let noise = |run: &mut Run, _| 10.0 + run.uniform();
    assert_eq!(reason(&noise, &|_, _| 10.5), Reason::Stuck);
    assert_eq!(reason(&noise, &|run, _| 10.6 + 0.4 * run.uniform()), Reason::LevelShift);
    assert!(matches!(reason(&noise, &|_, _| 30.0), Reason::OutsideBand | Reason::Novel));
    let count = |_: &mut Run, at: i64| (at * 100 + at % 3) as f64;
    assert_eq!(reason(&count, &|_, at| (at * 100 + (at - 3999) * 9000) as f64), Reason::Rate);
}

#[test]
fn a_band_holds_what_is_ordinary_and_is_of_scored_rows_alone() {
    let mut run = Run::new(USUAL);
    let (mut scored, mut within) = (0, 0);
    for at in 0..4000 {
        let value = 10.0 + run.uniform();
        let Verdict { score, band: Band { expected, lower, upper }, .. } = run.at(at * MINUTE, value);
        assert_eq!(score.is_nan(), expected.is_nan() && lower.is_nan() && upper.is_nan());
        if !score.is_nan() {
            scored += 1;
            within += usize::from((lower..=upper).contains(&value));
            assert!(lower <= expected && expected <= upper && upper < lower + 12.0, "{lower} {expected} {upper}");
        }
    }
    assert!(scored > 3800 && within >= scored * 999 / 1000, "{within} of {scored}");
}

#[test]
fn what_leaves_the_band_is_reported_and_what_does_not_is_not() {
    let mut run = Run::new(USUAL);
    (0..4000).for_each(|at| {
        let value = 100.0 + run.gaussian();
        run.at(at * MINUTE, value);
    });
    let next = |value: f64| {
        let mut run = Run(run.0.clone(), USUAL, run.2.clone(), 1);
        run.at(4000 * MINUTE, value)
    };
    let Band { lower, upper, .. } = next(100.0).band;
    assert!(lower < 96.0 && upper > 104.0, "{lower} {upper}");
    for (value, reported) in [(lower - 0.1, true), (lower + 0.2, false), (upper - 0.2, false), (upper + 0.1, true)] {
        let verdict = next(value);
        assert_eq!(verdict.score > 1.0, reported, "{value}: {verdict:?}");
    }
}

#[test]
fn while_an_incident_goes_on_the_band_is_where_the_series_was() {
    let mut run = Run::new(USUAL);
    (0..4030).for_each(|at| {
        let value = run.gaussian() + if at < 4000 { 100.0 } else { 120.0 };
        let Verdict { reason, band: Band { expected, lower, upper }, .. } = run.at(at * MINUTE, value);
        if at > 4000 {
            assert!(reason != Reason::None && (99.0..101.0).contains(&expected), "{at}: {reason:?} {expected}");
            assert!((90.0..100.0).contains(&lower) && (100.0..110.0).contains(&upper), "{at}: {lower} {upper}");
        }
    });
}

#[test]
fn an_incident_is_reported_once() {
    let mut run = Run::new(USUAL);
    run.alarms(0, 5000, 0.0);
    let begin = run.alarms(5000, 5, 100.0);
    let lasting = run.alarms(5005, 600, 100.0);
    assert!((1..=3).contains(&begin) && lasting <= 1, "{begin} {lasting}");
    let below = run.at(5605 * MINUTE, 100.0);
    assert!(below.score < 1.0 && below.deviation > 3.0, "{below:?}");
}

#[test]
fn a_flat_line_where_there_was_noise_alarms_once() {
    let mut run = Run::new(USUAL);
    run.alarms(0, 5000, 0.0);
    let alarms: Vec<_> = (5000..6000).filter(|i| run.at(i * MINUTE, 0.3).score > 1.0).collect();
    assert!(alarms.len() == 1 && alarms[0] < 5010, "{alarms:?}");
}

#[test]
fn a_variance_that_grows_is_reported() {
    let found = (1..=10).filter(|&seed| {
        let mut run = Run::new(USUAL);
        run.3 = seed * 7919;
        run.alarms(0, 5000, 0.0);
        let alarms = (5000..5120).filter(|i| {
            let value = 3.0 * run.gaussian();
            run.at(i * MINUTE, value).score > 1.0
        });
        alarms.count() > 0
    });
    assert_eq!(found.count(), 10);
}

#[test]
fn what_is_usual_by_day_is_new_at_night() {
    let daily = |run: &mut Run, i: i64| {
        let phase = i as f64 * std::f64::consts::TAU / 288.0;
        10.0 * libm::sin(phase) + 0.3 * run.gaussian()
    };
    let mut run = Run::new(USUAL);
    let mut early = 0;
    for i in 0..12 * 288 {
        let value = daily(&mut run, i);
        early += usize::from(run.at(i * 5 * MINUTE, value).score > 1.0);
    }
    assert!(early <= 2, "{early}");
    let mut without = Run(run.0.clone(), USUAL, run.2.clone(), run.3);
    without.0.season = None;
    without.2.seasons = 0;
    // The trough's value, reached as smoothly as ever, but at the time of the peak.
    let mut alarms = [0; 2];
    for i in 12 * 288..13 * 288 {
        for (run, alarms) in [&mut run, &mut without].into_iter().zip(&mut alarms) {
            let value = -daily(run, i);
            *alarms += usize::from(run.at(i * 5 * MINUTE, value).score > 1.0);
        }
    }
    assert!((1..=6).contains(&alarms[0]) && alarms[1] == 0, "{alarms:?}");
}

#[test]
fn a_drop_at_the_daily_peak_is_below_what_was_expected() {
    let mut run = Run::new(USUAL);
    let rows = 12 * 288 + 72; // to the peak
    for i in 0..rows {
        let phase = i as f64 * std::f64::consts::TAU / 288.0;
        let value = 10.0 * libm::sin(phase) + 0.3 * run.gaussian();
        run.at(i * 5 * MINUTE, value);
    }
    let drop = run.at(rows * 5 * MINUTE, 6.0);
    assert!((-4.5..-3.5).contains(&drop.deviation), "{drop:?}");
}

#[test]
fn a_week_without_rows_raises_no_alarm_storm() {
    let mut run = Run::new(USUAL);
    run.alarms(0, 5000, 0.0);
    let week = 7 * 24 * 60;
    let alarms = run.alarms(5000 + week, 5000, 1.0);
    assert!(alarms <= 2, "{alarms}");
}

#[test]
fn counters_and_whole_numbers_behave() {
    let kinds: [fn(&mut Run, i64) -> f64; 4] = [
        |run, i| (i as f64 * 1000.0 + run.uniform() * 100.0).floor(),
        |run, _| (run.uniform() * 4.0).floor(),
        |run, _| if run.uniform() < 0.02 { (run.uniform() * 10.0).floor() } else { 0.0 },
        |run, i| if i / 200 % 5 == 0 { run.uniform() * 100.0 } else { 0.0 },
    ];
    for (kind, draw) in kinds.iter().enumerate() {
        let mut run = Run::new(USUAL);
        let alarms = (0..20_000)
            .filter(|&i| {
                let value = draw(&mut run, i);
                run.at(i * MINUTE, value).score > 1.0 && i > 2000
            })
            .count();
        assert!(alarms <= if kind == 3 { 20 } else { 6 }, "kind {kind}: {alarms}"); // the last has 18 cycles
    }
}

#[test]
fn a_counter_that_runs_faster_or_stops_alarms_and_its_reset_does_not() {
    for (begin, times, alarms) in [(None, 5.0, 1..=4), (None, 0.0, 1..=4), (Some(0.0), 1.0, 0..=0)] {
        let (mut run, mut count) = (Run::new(USUAL), 1e6);
        let mut counted = |rows: std::ops::Range<i64>, times: f64, begin: Option<f64>| {
            count = begin.unwrap_or(count);
            let raised = rows.filter(|i| {
                count += (times * 1000.0 * (0.9 + 0.2 * run.uniform())).floor();
                run.at(i * MINUTE, count).score > 1.0
            });
            raised.count()
        };
        assert!(counted(0..10_000, 1.0, None) <= 3);
        let raised = counted(10_000..10_060, times, begin);
        assert!(alarms.contains(&raised), "{begin:?} {times}: {raised}");
    }
}

#[test]
fn without_room_for_a_season_there_is_none() {
    let mut run = Run::new(QUICK);
    run.2.seasons = 0;
    run.alarms(0, 100, 0.0);
    assert!(!run.0.has_season());
    run.2.seasons = 1;
    (100..300).for_each(|i| _ = run.at(i * MINUTE, 0.0));
    assert!(!run.0.has_season(), "what does not change needs none");
    run.alarms(300, 200, 0.0);
    assert!(run.0.has_season() && run.2.seasons == 0);
}

/// Rows of `score`, above 1.
fn reported(run: &mut Run, rows: std::ops::Range<i64>, step: i64, value: impl Fn(&mut Run, i64) -> f64) -> Vec<i64> {
    rows.filter(|&i| {
        let value = value(run, i);
        run.at(i * step, value).score > 1.0
    })
    .collect()
}

/// Office hours: 0 at night, 1 at noon, and much less at weekends. 1970 began on a Thursday.
fn office(minute: i64) -> f64 {
    let far = ((minute % 1440) as f64 / 1440.0 - 0.5) / 0.16;
    libm::exp(-0.5 * far * far) * if matches!((minute / 1440 + 4) % 7, 0 | 6) { 0.4 } else { 1.0 }
}

#[test]
fn bursts_after_zeros_are_each_reported() {
    let mut run = Run::new(USUAL);
    let burst = |run: &mut Run, i: i64| {
        let (day, row) = (i / 8820, i % 8820);
        if row < 8640 { 0.0 } else { (5.0 * libm::pow(10.0, (day - 1).max(0) as f64) * (1.0 + run.uniform())).floor() }
    };
    let found = reported(&mut run, 0..6 * 8820, 10_000_000_000, burst);
    for day in 0..6 {
        let began = day * 8820 + 8640;
        assert!(found.iter().any(|row| (began..began + 10).contains(row)), "day {day}: {found:?}");
    }
    assert!(found.len() <= 14, "{found:?}");
}

#[test]
fn one_step_after_zeros_is_reported_once() {
    let mut run = Run::new(USUAL);
    let found = reported(&mut run, 0..6 * 8640, 10_000_000_000, |_, i| f64::from(u8::from(i >= 8640)));
    assert_eq!(found, [8640]);
}

#[test]
fn outages_of_what_is_else_constant_are_each_reported() {
    let mut run = Run::new(USUAL);
    let down = |i: i64| i % 4320 >= 4300;
    let found = reported(&mut run, 0..8 * 4320, MINUTE, |_, i| f64::from(u8::from(!down(i))));
    let began = |outage: i64| outage * 4320 + 4300;
    assert!((0..8).all(|outage| found.iter().any(|row| (began(outage)..began(outage) + 5).contains(row))), "{found:?}");
    let false_ones = found.iter().filter(|&&i| !down(i) && !down(i - 10)).count();
    assert_eq!(false_ones, 0, "{found:?}");
}

#[test]
fn an_outage_at_noon_is_reported_where_zero_is_usual_at_night() {
    let mut run = Run::new(USUAL);
    let noon = 17 * 1440 + 720; // a Sunday's are fewer: a Monday
    let requests = |run: &mut Run, i: i64| {
        let usual = 1000.0 * office(i) * (1.0 + 0.05 * run.gaussian());
        if (noon..noon + 20).contains(&i) { 0.0 } else { usual.max(0.0).floor() }
    };
    let found = reported(&mut run, 0..19 * 1440, MINUTE, requests);
    assert!(found.iter().any(|row| (noon..noon + 3).contains(row)), "{found:?}");
    let before: Vec<_> = found.iter().filter(|&&row| (8 * 1440..noon).contains(&row)).collect();
    assert!(before.len() <= 2, "{before:?}");
}

#[test]
fn a_daily_job_that_does_not_run_is_reported() {
    let mut run = Run::new(USUAL);
    let job = |run: &mut Run, i: i64| {
        let works = (150..170).contains(&(i % 1440)) && i / 1440 != 18;
        10.0 + run.gaussian() + if works { 40.0 } else { 0.0 }
    };
    let found = reported(&mut run, 0..19 * 1440, MINUTE, job);
    let missing = 18 * 1440 + 150;
    assert!(found.iter().any(|row| (missing..missing + 25).contains(row)), "{found:?}");
}

#[test]
fn a_frozen_value_is_reported_though_the_day_explains_the_series() {
    let mut run = Run::new(USUAL);
    let from = 9 * 1440 + 720;
    let mut held = 0.0;
    let mut found = Vec::new();
    for i in 0..from + 720 {
        if i < from {
            held = 500.0 + 500.0 * office(i) * (1.0 + 0.02 * run.gaussian());
        }
        if run.at(i * MINUTE, held).score > 1.0 && i >= from {
            found.push(i - from);
        }
    }
    assert!(found.first().is_some_and(|&row| row < 10), "{found:?}");
}

#[test]
fn a_counter_with_decimals_is_looked_at_as_a_rate() {
    let (mut run, mut count) = (Run::new(USUAL), 0.0);
    let mut found = Vec::new();
    for i in 0..30_180_i64 {
        if matches!(i, 12_000 | 18_000) {
            count = 0.0;
        }
        let times =
            if (20_000..20_180).contains(&i) { 3.0 } else { f64::from(u8::from(!(25_000..25_180).contains(&i))) };
        count += times * 0.0137 * (80.0 + (run.uniform() * 41.0).floor());
        if run.at(i * 10_000_000_000, (count * 100.0).floor() / 100.0).score > 1.0 {
            found.push(i);
        }
    }
    for (from, to) in [(20_000, 20_003), (25_000, 25_003)] {
        assert!(found.iter().any(|row| (from..to).contains(row)), "{from}: {found:?}");
    }
    assert!(found.iter().all(|row| !(11_990..19_000).contains(row)), "resets: {found:?}");
}

#[test]
fn minutes_full_of_errors_are_reported_though_each_was_seen() {
    let mut run = Run::new(USUAL);
    // A row in thirty has errors, and each further one is half as frequent.
    let errors = |run: &mut Run, i: i64| {
        let uniform = run.uniform();
        match i {
            30_000..30_005 => 8.0,
            _ if uniform < 1.0 / 30.0 => 1.0 - libm::log2(30.0 * uniform).ceil(),
            _ => 0.0,
        }
    };
    let found = reported(&mut run, 0..30_015, MINUTE, errors);
    assert!(found.iter().any(|&row| row >= 30_000), "{found:?}");
    assert!(found.len() <= 6, "{found:?}");
}

#[test]
fn an_incident_on_the_other_side_is_reported_as_well() {
    let mut run = Run::new(USUAL);
    run.alarms(0, 5000, 0.0);
    assert!(run.alarms(5000, 30, 15.0) >= 1);
    run.alarms(5030, 60, 0.0);
    assert!(run.alarms(5090, 10, -20.0) >= 1);
}

#[test]
fn while_an_incident_goes_on_scores_stay_above_a_half_and_then_fall() {
    let mut run = Run::new(USUAL);
    run.alarms(0, 5000, 0.0);
    let mut during = |rows: std::ops::Range<i64>, level: f64| {
        let scores = rows.map(|i| {
            let value = level + run.gaussian();
            run.at(i * MINUTE, value).score
        });
        scores.collect::<Vec<_>>()
    };
    let incident = during(5000..5090, 20.0);
    assert!(incident[0] > 1.0 && incident.iter().all(|&score| score > 0.5), "{incident:?}");
    let after = during(5090..5200, 0.0);
    assert!(after[60..].iter().all(|&score| score <= 0.5), "{after:?}");
}

#[test]
fn series_of_any_kind_leave_scores_finite_and_few_above_1() {
    type Kind = (&'static str, i64, fn(&mut Run, i64) -> f64);
    let kinds: [Kind; 6] = [
        ("a year of zeros, hourly", 60 * MINUTE, |_, _| 0.0),
        ("1e15 with steps of 1", MINUTE, |run, _| 1e15 + (run.uniform() * 4.0).floor()),
        ("denormals", MINUTE, |run, _| 5e-324 * (run.uniform() * 9.0).floor()),
        ("alternating signs", MINUTE, |_, i| if i % 2 == 0 { 1.0 } else { -1.0 }),
        ("100 Hz", 10_000_000, Run::gaussian_at),
        ("a row a day", 1440 * MINUTE, Run::gaussian_at),
    ];
    for (name, step, value) in kinds {
        let mut run = Run::new(USUAL);
        let found = reported(&mut run, 0..9000, step, value);
        assert!(found.len() <= 6, "{name}: {found:?}");
        assert_eq!(read_back(&run.0), Some(run.0), "{name}");
    }
}

#[test]
fn a_saved_series_continues_bit_for_bit() {
    let mut run = Run::new(QUICK);
    for i in 0..500 {
        let mut bytes = Vec::new();
        run.0.write_state(&mut bytes);
        let rest = &mut bytes.as_slice();
        assert_eq!(Series::read_state(rest), Some(run.0.clone()), "row {i}");
        assert!(rest.is_empty());
        run.alarms(i, 1, 1e6);
    }
}

/// Whatever stands in a record, it is refused, or it is one of a series that goes on.
#[test]
fn corrupt_records_are_rejected_or_harmless() {
    let mut run = Run::new(QUICK);
    run.alarms(0, 500, 10.0);
    let mut bytes = Vec::new();
    run.0.write_state(&mut bytes);
    let patterns: [&[u8]; 8] = [
        &[0xff],
        &[0xff; 2],
        &[0; 8],
        &f32::NAN.to_le_bytes(),
        &f32::INFINITY.to_le_bytes(),
        &(-1.0_f32).to_le_bytes(),
        &f64::NAN.to_le_bytes(),
        &(-1e300_f64).to_le_bytes(),
    ];
    let mut refused = [0; 8];
    for at in 0..bytes.len() - 8 {
        for (pattern, refused) in patterns.iter().zip(&mut refused) {
            let mut bytes = bytes.clone();
            bytes[at..at + pattern.len()].copy_from_slice(pattern);
            let Some(read) = Series::read_state(&mut bytes.as_slice()) else {
                *refused += 1;
                continue;
            };
            let mut run = Run(read, QUICK, Shared::new(&QUICK, T, 1), 1);
            for i in 500..520 {
                let value = 10.0 + run.gaussian();
                let score = run.at(i * MINUTE, value).score;
                assert!(score.is_nan() || (0.0..f64::INFINITY).contains(&score), "{pattern:?} at {at}: {score}");
            }
            assert!(read_back(&run.0).is_some(), "{pattern:?} at {at}: {:?}", run.0);
        }
    }
    // Most of a record is the season's bins, each field of which may be many things; not a number none may be.
    assert!(refused.iter().all(|refused| *refused > 0) && refused[6] > 150, "{refused:?}");
}

#[test]
fn no_part_of_a_record_is_one() {
    let mut run = Run::new(QUICK);
    run.alarms(0, 500, 10.0);
    let mut bytes = Vec::new();
    run.0.write_state(&mut bytes);
    assert!((0..bytes.len()).all(|length| Series::read_state(&mut &bytes[..length]).is_none()));
}
