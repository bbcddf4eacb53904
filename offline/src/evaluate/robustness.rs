//! How much verdicts change with perturbed rows.

use qualm_contract::Detector;
use serde::Serialize;

use super::metrics::{Figures, is_alarm, share};
use super::perturb::Perturbation;
use super::score::score;
use super::spread::Spread;
use crate::table::Table;

/// The effect of one perturbation on the verdicts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// The perturbation.
    pub perturbation: String,
    /// The share of the rows whose verdict changed, between ordinary and anomalous. A row without a score is ordinary.
    pub flipped: Option<f64>,
    /// The share of the rows that now have no score.
    pub unscored: Option<f64>,
    /// The share of the scored rows that alarm now.
    pub alarm_rate: Option<f64>,
    /// The rank correlation of the scores before and after (Spearman 1904), of the rows with a score in both.
    pub rank_correlation: Option<f64>,
    /// The figures with the same labels.
    pub labelled: Option<Figures>,
}

/// Perturbs rows, and compares their scores with those `before`.
pub(crate) fn effect(
    perturbation: Perturbation,
    detector: &mut dyn Detector,
    table: &Table,
    before: &[f64],
    labels: Option<&[bool]>,
    seed: u64,
    scored: &dyn Fn(usize),
) -> Result<Effect, qualm_contract::Error> {
    let spreads = Spread::of_each(&table.values, table.features());
    let values = perturbation.apply(&table.values, &spreads, seed);
    let after = score(detector, table, &values, scored)?;
    Ok(compare(perturbation.name(), before, &after, labels))
}

fn compare(perturbation: String, before: &[f64], after: &[f64], labels: Option<&[bool]>) -> Effect {
    let pairs = || before.iter().zip(after);
    let all = after.len() as u64;
    let known = after.iter().filter(|score| !score.is_nan()).count() as u64;
    let alarms = after.iter().filter(|score| is_alarm(**score)).count() as u64;
    let flipped = pairs().filter(|(before, after)| is_alarm(**before) != is_alarm(**after)).count() as u64;
    let (ones, others): (Vec<f64>, Vec<f64>) =
        pairs().filter(|(before, after)| !before.is_nan() && !after.is_nan()).unzip();
    Effect {
        perturbation,
        flipped: share(flipped, all),
        unscored: share(all - known, all),
        alarm_rate: share(alarms, known),
        rank_correlation: spearman(&ones, &others),
        labelled: labels.map(|labels| Figures::of(after, labels)),
    }
}

/// Spearman's rank correlation: Pearson's, of the ranks, ties sharing their mean. `None` where either does not vary.
fn spearman(ones: &[f64], others: &[f64]) -> Option<f64> {
    let (ones, others) = (ranks(ones), ranks(others));
    let mean = f64::midpoint(1.0, ones.len() as f64);
    let products = |ones: &[f64], others: &[f64]| -> f64 {
        ones.iter().zip(others).map(|(one, other)| (one - mean) * (other - mean)).sum()
    };
    let norm = (products(&ones, &ones) * products(&others, &others)).sqrt();
    (norm > 0.0).then(|| products(&ones, &others) / norm)
}

/// Each number's rank, from 1 on.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_unstable_by(|one, other| numbers[*one].total_cmp(&numbers[*other]));
    let mut out = vec![0.0; numbers.len()];
    let mut below = 0;
    #[expect(clippy::float_cmp, reason = "ties are numbers that are the same")]
    for tied in order.chunk_by(|one, other| numbers[*one] == numbers[*other]) {
        let rank = below as f64 + f64::midpoint(1.0, tied.len() as f64);
        for at in tied {
            out[*at] = rank;
        }
        below += tied.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::testing::{servers, zscore};
    use super::*;

    #[test]
    fn ranks_are_correlated_as_scipy_does() {
        // scipy.stats.spearmanr([1, 2, 2, 4, 5, 3], [2, 1, 4, 8, 8, 3])
        let found = spearman(&[1.0, 2.0, 2.0, 4.0, 5.0, 3.0], &[2.0, 1.0, 4.0, 8.0, 8.0, 3.0]).unwrap();
        assert!((found - 0.794_117_647_058_823_6).abs() < 1e-12, "{found}");
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[], &[]), None);
    }

    #[test]
    fn changes_are_counted() {
        let nan = f64::NAN;
        let labels = [false, true, true, false, false];
        let effect = compare("x".to_owned(), &[0.0, 2.0, 3.0, 0.5, nan], &[0.1, 0.9, nan, 1.5, 0.2], Some(&labels));
        assert_eq!((effect.flipped, effect.unscored, effect.alarm_rate), (Some(0.6), Some(0.2), Some(0.25)));
        assert_eq!(effect.rank_correlation, Some(0.5));
        assert_eq!(effect.labelled.unwrap().recall, Some(0.0));
    }

    #[test]
    fn small_noise_changes_few_verdicts_and_a_shift_many() {
        let table = servers(2, 1500, 3, 1);
        let mut detector = qualm_core::open(&zscore(&table)).unwrap();
        let before = score(&mut *detector, &table, &table.values, &|_| {}).unwrap();
        let mut effect =
            |perturbation| effect(perturbation, &mut *detector, &table, &before, None, 1, &|_| {}).unwrap();
        let (little, much) = (effect(Perturbation::Noise(0.01)), effect(Perturbation::Mean(2.0)));
        assert!(little.flipped < Some(0.005) && little.rank_correlation > Some(0.98), "{little:?}");
        assert!(much.flipped > Some(0.05) && much.rank_correlation < little.rank_correlation, "{much:?}");
        let repeated = effect(Perturbation::Noise(0.01));
        assert_eq!(repeated, little, "the same for the same seed");
    }
}
