//! Whether what was found is drift.

use crate::adjust::benjamini_hochberg;
use crate::alarms;
use crate::effects::{self, Compared};
use crate::evidence::Evidence;
use crate::options::Options;
use crate::reference::{BEYOND, Distribution, Effects, Ordinary, Reference};
use crate::report::{Compare, FeatureReport, Report, State, Summary, Test, TestResult};
use crate::window::Column;

/// The report before anything is found.
pub(crate) fn learning(reference: &Reference, options: &Options) -> Report {
    let mut report = Report {
        state: State::Learning,
        rows: 0,
        features: reference.features.iter().map(|feature| nothing_found(feature, options)).collect(),
        score: nothing_found(&reference.score, options),
        alarm_rate: Compare { reference: Some(reference.alarm_rate), effect: 1.0, ..Compare::default() },
        error_median: Compare { reference: reference.score.median(), ..Compare::default() },
        error_p95: Compare { reference: reference.score.p95(), ..Compare::default() },
    };
    let (error, alarms) = score_levels(&reference.ordinary, options);
    [report.error_median.level, report.error_p95.level] = error;
    report.alarm_rate.level = alarms;
    report
}

fn nothing_found(reference: &Distribution, options: &Options) -> FeatureReport {
    let values = (!reference.quantiles.is_empty()).then_some((reference.mean, reference.deviation));
    let levels = levels(&reference.ordinary, options);
    let test = |at: usize| {
        let (test, p_value) = (Test::ALL[at], has_p_value(Test::ALL[at]).then_some(1.0));
        TestResult { test, statistic: 0.0, p_value, level: levels[at], votes: false }
    };
    let level = options.levels.missing.max(options.factor * reference.ordinary.missing);
    FeatureReport {
        reference: Summary {
            mean: values.map(|(mean, _)| mean),
            deviation: values.map(|(_, deviation)| deviation),
            missing: reference.missing,
        },
        live: Summary::default(),
        tests: std::array::from_fn(test),
        votes: 0,
        in_a_row: 0,
        missing: Compare { reference: Some(reference.missing), level, ..Compare::default() },
        beyond: Compare { reference: values.map(|_| BEYOND), level: options.levels.beyond, ..Compare::default() },
        drifted: false,
    }
}

fn has_p_value(test: Test) -> bool {
    matches!(test, Test::KolmogorovSmirnov | Test::ChiSquare)
}

/// What each test's effect must exceed.
fn levels(ordinary: &Effects, options: &Options) -> [f64; 5] {
    let (levels, ordinary) = (options.levels.tests(), ordinary.tests());
    std::array::from_fn(|at| {
        let beyond = match Test::ALL[at] {
            Test::StabilityIndex => options.factor * options.factor * ordinary[at],
            // They are 1 at most: what is halfway there from what is ordinary must always do.
            Test::KolmogorovSmirnov | Test::JensenShannon => {
                (options.factor * ordinary[at]).min(f64::midpoint(ordinary[at], 1.0))
            }
            Test::Wasserstein | Test::ChiSquare => options.factor * ordinary[at],
        };
        levels[at].max(beyond)
    })
}

/// What the effects of median and 95 % quantile must exceed, and that of the alarm rate.
fn score_levels(ordinary: &Ordinary, options: &Options) -> ([f64; 2], f64) {
    let error = |ordinary: f64| options.levels.error.max(options.factor * ordinary);
    ([error(ordinary.median), error(ordinary.p95)], options.levels.alarms.max(1.0))
}

/// Brings a report up to date with what was found at the end of a block.
pub(crate) fn judge(reference: &Reference, evidence: &Evidence, options: &Options, report: &mut Report) {
    let p_values = |of: fn(&Compared) -> f64| -> Vec<f64> {
        benjamini_hochberg(&evidence.columns.iter().map(|(_, compared)| of(compared)).collect::<Vec<_>>())
    };
    let ks = p_values(|compared| compared.ks_p_value);
    let chi_square = p_values(|compared| compared.chi_square_p_value);
    let Report { state: _, rows, features, score, alarm_rate, error_median, error_p95 } = report;
    *rows = evidence.rows;
    let reports = features.iter_mut().chain([&mut *score]);
    for (at, (report, (column, compared))) in reports.zip(&evidence.columns).enumerate() {
        let effects = compared.effects.tests();
        for (test, effect) in report.tests.iter_mut().zip(effects) {
            test.statistic = effect;
            test.p_value = match test.test {
                Test::KolmogorovSmirnov => Some(ks[at]),
                Test::ChiSquare => Some(chi_square[at]),
                _ => None,
            };
            test.votes = effect > test.level && test.p_value.is_none_or(|p_value| p_value < options.significance);
        }
        judge_column(column, compared, options, report);
    }
    for (compare, then, now) in [
        (&mut *error_median, reference.score.median(), evidence.median),
        (&mut *error_p95, reference.score.p95(), evidence.p95),
    ] {
        (compare.live, compare.effect) = (now.all, now.shift(&reference.score, then));
        let exceeds = compare.effect > compare.level;
        extend(&mut compare.in_a_row, &mut compare.drifted, exceeds, options);
    }
    let found = alarms::compare(reference, &evidence.alarms, alarm_rate.level);
    (alarm_rate.live, alarm_rate.effect, alarm_rate.p_value) = (Some(found.rate), found.ratio, Some(found.p_value));
    let exceeds = found.p_value < options.significance;
    extend(&mut alarm_rate.in_a_row, &mut alarm_rate.drifted, exceeds, options);
    let drifts = report.features_drift() || report.scores_drift() || report.alarm_rate.drifted;
    report.state = if drifts { State::Drifting } else { State::None };
}

fn judge_column(column: &Column, compared: &Compared, options: &Options, report: &mut FeatureReport) {
    let known = column.moments.count > 0.0;
    report.live = Summary {
        mean: known.then_some(column.moments.mean),
        deviation: known.then(|| column.moments.deviation()),
        missing: effects::missing(column),
    };
    report.votes = report.tests.iter().filter(|test| test.votes).count();
    let agreed = report.votes >= options.consensus.clamp(1, Test::ALL.len());
    let mut drifted = false;
    extend(&mut report.in_a_row, &mut drifted, agreed, options);
    let missing = &mut report.missing;
    (missing.live, missing.effect) = (Some(report.live.missing), compared.effects.missing);
    let exceeds = missing.effect > missing.level;
    extend(&mut missing.in_a_row, &mut missing.drifted, exceeds, options);
    let beyond = &mut report.beyond;
    (beyond.live, beyond.effect) = (known.then_some(compared.beyond), compared.beyond);
    let exceeds = beyond.effect > beyond.level;
    extend(&mut beyond.in_a_row, &mut beyond.drifted, exceeds, options);
    report.drifted = drifted || missing.drifted || beyond.drifted;
}

/// Counts how often in a row, and says whether that is often enough.
fn extend(in_a_row: &mut usize, drifted: &mut bool, again: bool, options: &Options) {
    *in_a_row = if again { in_a_row.saturating_add(1) } else { 0 };
    *drifted = *in_a_row >= options.sustained.max(1);
}
