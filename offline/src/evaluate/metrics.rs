//! Row-based figures: each row counts by its own verdict. There is no point adjustment, which counts all rows of an incident as
//! found with the first, and makes even random scores look good (Kim et al. 2022).
//!
//! A row without a score (NaN) raises no alarm, and ranks below all rows with one. Such rows count in every figure here;
//! [`Summary::unscored`](super::summary::Summary::unscored) is their number.

use serde::Serialize;

/// Whether a score is above the threshold.
#[must_use]
pub fn is_alarm(score: f64) -> bool {
    score > 1.0
}

/// The confusion matrix of rows at the threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// Labelled rows that alarm.
    pub true_positives: u64,
    /// Ordinary rows that alarm.
    pub false_positives: u64,
    /// Labelled rows that do not alarm.
    pub false_negatives: u64,
    /// Ordinary rows that do not alarm.
    pub true_negatives: u64,
}

impl Confusion {
    /// Counts rows.
    #[must_use]
    pub fn of(scores: &[f64], labels: &[bool]) -> Self {
        let mut this = Self::default();
        for (score, label) in scores.iter().zip(labels) {
            let count = match (is_alarm(*score), label) {
                (true, true) => &mut this.true_positives,
                (true, false) => &mut this.false_positives,
                (false, true) => &mut this.false_negatives,
                (false, false) => &mut this.true_negatives,
            };
            *count += 1;
        }
        this
    }

    /// The share of alarming rows that are labelled. `None` if no row alarms.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// The share of labelled rows that alarm. `None` if no row is labelled.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// The harmonic mean of precision and recall.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        share(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)
    }
}

/// `part` of `whole`; `None` if `whole` is 0.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Rows ranked by score: true and false positives at every threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    steps: Vec<Step>,
    positives: u64,
    negatives: u64,
}

/// The rows with at least a score.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    /// −∞ for rows without a score.
    score: f64,
    true_positives: u64,
    false_positives: u64,
}

/// The threshold with the largest F1. It needs the labels, so it is an upper bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Best {
    /// Scores from this one on are alarms.
    pub threshold: f64,
    /// The F1 there.
    pub f1: f64,
    /// The precision there.
    pub precision: f64,
    /// The recall there.
    pub recall: f64,
}

impl Ranking {
    /// Ranks rows.
    #[must_use]
    pub fn new(scores: &[f64], labels: &[bool]) -> Self {
        let known = |score: f64| if score.is_nan() { f64::NEG_INFINITY } else { score };
        let mut rows: Vec<(f64, bool)> = scores.iter().map(|score| known(*score)).zip(labels.iter().copied()).collect();
        rows.sort_unstable_by(|(one, _), (other, _)| other.total_cmp(one));
        let mut steps: Vec<Step> = Vec::new();
        let (mut true_positives, mut false_positives) = (0, 0);
        // Rows with the same score are one step: any order among them would be arbitrary.
        #[expect(clippy::float_cmp, reason = "ties are scores that are the same")]
        for tied in rows.chunk_by(|(one, _), (other, _)| one == other) {
            let anomalies = tied.iter().filter(|(_, label)| *label).count() as u64;
            true_positives += anomalies;
            false_positives += tied.len() as u64 - anomalies;
            steps.push(Step { score: tied[0].0, true_positives, false_positives });
        }
        Self { steps, positives: true_positives, negatives: false_positives }
    }

    /// The area under the ROC curve: how often an anomaly scores above an ordinary row, ties counting half (Mann &
    /// Whitney 1947). `None` if there are only anomalies or only ordinary rows.
    #[must_use]
    pub fn roc_auc(&self) -> Option<f64> {
        let (mut area, mut before) = (0.0, (0, 0));
        for step in &self.steps {
            let width = step.false_positives - before.1;
            area += width as f64 * (step.true_positives + before.0) as f64 / 2.0;
            before = (step.true_positives, step.false_positives);
        }
        let pairs = self.positives as f64 * self.negatives as f64;
        (pairs > 0.0).then(|| area / pairs)
    }

    /// The area under the precision–recall curve, as scikit-learn's `average_precision_score`: Σ (Rₙ − Rₙ₋₁)·Pₙ. Random
    /// scores get the share of anomalies. `None` without anomalies.
    #[must_use]
    pub fn auc_pr(&self) -> Option<f64> {
        let (mut area, mut before) = (0.0, 0);
        for step in &self.steps {
            area += (step.true_positives - before) as f64 * step.precision();
            before = step.true_positives;
        }
        (self.positives > 0).then(|| area / self.positives as f64)
    }

    /// The threshold with the best F1; of several, the highest. `None` if none finds anything.
    #[must_use]
    pub fn best(&self) -> Option<Best> {
        let scored = self.steps.iter().filter(|step| step.score.is_finite() && step.true_positives > 0);
        let best = |step: &Step| Best {
            threshold: step.score,
            f1: 2.0 * step.true_positives as f64 / (step.true_positives + step.false_positives + self.positives) as f64,
            precision: step.precision(),
            recall: step.true_positives as f64 / self.positives as f64,
        };
        scored.map(best).reduce(|best, next| if next.f1 > best.f1 { next } else { best })
    }

    /// The ROC curve: false and true positive rate, from (0, 0) to (1, 1).
    #[must_use]
    pub fn roc(&self) -> Vec<(f64, f64)> {
        let of = |part: u64, whole: u64| share(part, whole).unwrap_or(0.0);
        let point = |step: &Step| (of(step.false_positives, self.negatives), of(step.true_positives, self.positives));
        std::iter::once((0.0, 0.0)).chain(self.steps.iter().map(point)).collect()
    }

    /// The precision–recall curve: recall and precision, from the highest score on.
    #[must_use]
    pub fn precision_recall(&self) -> Vec<(f64, f64)> {
        let recall = |step: &Step| share(step.true_positives, self.positives).unwrap_or(0.0);
        self.steps.iter().map(|step| (recall(step), step.precision())).collect()
    }
}

impl Step {
    fn precision(&self) -> f64 {
        self.true_positives as f64 / (self.true_positives + self.false_positives) as f64
    }
}

/// The figures of some rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// See [`Confusion::precision`].
    pub precision: Option<f64>,
    /// See [`Confusion::recall`].
    pub recall: Option<f64>,
    /// See [`Confusion::f1`].
    pub f1: Option<f64>,
    /// See [`Ranking::roc_auc`].
    pub roc_auc: Option<f64>,
    /// See [`Ranking::auc_pr`].
    pub auc_pr: Option<f64>,
}

impl Figures {
    /// Compares scores with labels.
    #[must_use]
    pub fn of(scores: &[f64], labels: &[bool]) -> Self {
        Self::from(&Confusion::of(scores, labels), &Ranking::new(scores, labels))
    }

    pub(crate) fn from(confusion: &Confusion, ranking: &Ranking) -> Self {
        Self {
            precision: confusion.precision(),
            recall: confusion.recall(),
            f1: confusion.f1(),
            roc_auc: ranking.roc_auc(),
            auc_pr: ranking.auc_pr(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores, labels and scikit-learn's figures of them, by `tests/fixtures/metrics.py`.
    const SKLEARN: &str = include_str!("../../tests/fixtures/metrics.json");

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        scores: Vec<Option<f64>>,
        labels: Vec<u8>,
        precision: f64,
        recall: f64,
        f1: f64,
        roc_auc: f64,
        auc_pr: f64,
        best_f1: f64,
        best_threshold: f64,
    }

    #[test]
    fn figures_are_those_of_scikit_learn() {
        let cases: Vec<Case> = serde_json::from_str(SKLEARN).unwrap();
        assert!(cases.len() >= 5);
        for case in cases {
            let scores: Vec<f64> = case.scores.iter().map(|score| score.unwrap_or(f64::NAN)).collect();
            let labels: Vec<bool> = case.labels.iter().map(|label| *label == 1).collect();
            let (confusion, ranking) = (Confusion::of(&scores, &labels), Ranking::new(&scores, &labels));
            let best = ranking.best().unwrap();
            for (what, ours, theirs) in [
                ("precision", confusion.precision().unwrap_or(0.0), case.precision),
                ("recall", confusion.recall().unwrap(), case.recall),
                ("F1", confusion.f1().unwrap(), case.f1),
                ("ROC-AUC", ranking.roc_auc().unwrap(), case.roc_auc),
                ("AUC-PR", ranking.auc_pr().unwrap(), case.auc_pr),
                ("best F1", best.f1, case.best_f1),
                ("its threshold", best.threshold, case.best_threshold),
            ] {
                assert!((ours - theirs).abs() < 1e-12, "{}: {what} is {theirs}, not {ours}", case.name);
            }
        }
    }

    #[test]
    fn a_row_without_a_score_is_not_found_and_ranks_last() {
        let (scores, labels) = ([f64::NAN, 2.0, 0.0, f64::NAN], [true, true, false, false]);
        let confusion = Confusion::of(&scores, &labels);
        assert_eq!((confusion.true_positives, confusion.false_negatives, confusion.true_negatives), (1, 1, 2));
        // Pairs: 2.0 beats both; NaN loses to 0.0, ties with NaN.
        assert_eq!(Ranking::new(&scores, &labels).roc_auc(), Some(2.5 / 4.0));
        assert_eq!(Ranking::new(&scores, &labels).best().unwrap().recall.to_bits(), 0.5_f64.to_bits());
    }

    #[test]
    fn undefined_figures_are_none() {
        let none = Ranking::new(&[0.5, 2.0], &[false, false]);
        assert_eq!((none.roc_auc(), none.auc_pr(), none.best()), (None, None, None));
        let confusion = Confusion::of(&[0.5], &[false]);
        assert_eq!((confusion.precision(), confusion.recall(), confusion.f1()), (None, None, None));
        assert_eq!(Ranking::new(&[], &[]).roc(), [(0.0, 0.0)]);
    }

    #[test]
    fn curves_have_both_ends() {
        let ranking = Ranking::new(&[3.0, 2.0, 2.0, 1.0], &[true, false, true, false]);
        assert_eq!(ranking.roc(), [(0.0, 0.0), (0.0, 0.5), (0.5, 1.0), (1.0, 1.0)]);
        assert_eq!(ranking.precision_recall(), [(0.5, 1.0), (1.0, 2.0 / 3.0), (1.0, 0.5)]);
    }
}
