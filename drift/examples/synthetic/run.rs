//! Training, scores and a run of live rows.

use std::sync::Arc;

use qualm_drift::{Live, Options, Reference, Report, State};

use crate::stream::{DAY, Drift, FEATURES, Kind, Stream};

/// How long training lasts, in days.
pub(crate) const TRAINING: usize = 5;

/// Mahalanobis' distance from training's mean over that which one in a thousand training rows exceeds, so that those are alarms.
pub(crate) struct Model {
    mean: [f64; FEATURES],
    /// The lower triangle of the covariances' Cholesky factor.
    factor: [[f64; FEATURES]; FEATURES],
    threshold: f64,
}

impl Model {
    fn new(rows: &[[f64; FEATURES]]) -> Self {
        let count = rows.len() as f64;
        let mean: [f64; FEATURES] = std::array::from_fn(|at| rows.iter().map(|row| row[at]).sum::<f64>() / count);
        let mut factor = [[0.0; FEATURES]; FEATURES];
        for i in 0..FEATURES {
            for j in 0..=i {
                let covariance = rows.iter().map(|row| (row[i] - mean[i]) * (row[j] - mean[j])).sum::<f64>() / count;
                let rest = covariance - (0..j).map(|k| factor[i][k] * factor[j][k]).sum::<f64>();
                factor[i][j] = if i == j { rest.sqrt() } else { rest / factor[j][j] };
            }
        }
        let mut model = Self { mean, factor, threshold: 1.0 };
        let mut scores: Vec<f64> = rows.iter().map(|row| model.score(row)).collect();
        scores.sort_unstable_by(f64::total_cmp);
        model.threshold = scores[scores.len() - scores.len() / 1000];
        model
    }

    pub(crate) fn score(&self, row: &[f64; FEATURES]) -> f64 {
        let mut solved = [0.0; FEATURES];
        for i in 0..FEATURES {
            let rest = row[i] - self.mean[i] - (0..i).map(|k| self.factor[i][k] * solved[k]).sum::<f64>();
            solved[i] = rest / self.factor[i][i];
        }
        solved.iter().map(|part| part * part).sum::<f64>().sqrt() / self.threshold
    }
}

/// What became of a run.
pub(crate) struct Outcome {
    /// Whether drift was reported before there was any.
    pub(crate) early: bool,
    /// How many days after drift began it was reported; `None` if it was not.
    pub(crate) delay: Option<f64>,
    /// What drifted at first.
    pub(crate) first: Option<(f64, String)>,
}

/// Trains on the first days of a stream; as many days later drift begins, and the run lasts for `days` more.
pub(crate) fn run(kind: Kind, drift: Drift, seed: u64, before: usize, days: usize, options: &Options) -> Outcome {
    let trained = TRAINING * DAY;
    let mut stream = Stream::new(kind, drift, trained + before * DAY, seed);
    let rows: Vec<_> = (0..trained).map(|_| stream.next()).collect();
    let model = Model::new(&rows);
    let scores: Vec<f64> = rows.iter().map(|row| model.score(row)).collect();
    let time = |row: usize| row as i64 * 10_000_000_000;
    let times: Vec<i64> = (0..trained).map(time).collect();
    let reference = Reference::new(&times, rows.as_flattened(), FEATURES, &scores, options.window)
        .expect("there are as many of each");
    let mut live = Live::new(Arc::new(reference), options.clone());
    let mut outcome = Outcome { early: false, delay: None, first: None };
    for row in 0..(before + days) * DAY {
        let values = stream.next();
        if live.observe(time(trained + row), &values, model.score(&values)) && live.report().state == State::Drifting {
            let day = row as f64 / DAY as f64 - before as f64;
            outcome.early |= day <= 0.0;
            if day > 0.0 && outcome.delay.is_none() {
                outcome.delay = Some(day);
            }
            outcome.first.get_or_insert_with(|| (day, what(live.report())));
            if outcome.delay.is_some() {
                break;
            }
        }
    }
    outcome
}

/// What of a report drifts.
fn what(report: &Report) -> String {
    let features = report.features.iter().enumerate().filter(|(_, feature)| feature.drifted);
    let mut parts: Vec<String> = features
        .map(|(at, feature)| format!("feature {at} {:.2?}", feature.tests.map(|test| test.statistic / test.level)))
        .collect();
    if report.score.drifted {
        parts.push(format!("score {:.2?}", report.score.tests.map(|test| test.statistic / test.level)));
    }
    for (name, compare) in
        [("alarm rate", &report.alarm_rate), ("median", &report.error_median), ("p95", &report.error_p95)]
    {
        if compare.drifted {
            parts.push(format!("{name} {:.2} of {:.2}", compare.effect, compare.level));
        }
    }
    parts.join(", ")
}
