//! `zscore`: the largest distance of a row's features from their means, in standard deviations.
//!
//! A value that is scaled by mean and standard deviation, or by median and interquartile range, is its own z-score. The raw score is the largest |z| of the row; a feature's contribution is its z, with its sign.

use ndarray::ArrayView2;
use qualm_contract::{Batch, Error};

use crate::linalg::as_rows;
use crate::math;
use crate::model::{Model, Writer};
use crate::trained::{FitError, Kernel, Rows, Settings, Trained};

/// The name of this kind of detector.
pub const KIND: &str = "zscore";

/// Fits the detector to `train` and the threshold to `validation`.
///
/// # Errors
///
/// What is wrong with the rows.
pub fn fit(train: Rows<'_>, validation: Batch<'_>, settings: &Settings) -> Result<Trained, FitError> {
    Trained::fit(KIND, train, validation, settings, |_| Ok(Box::new(ZScore)))
}

pub(crate) fn open(model: &Model<'_>) -> Result<Trained, Error> {
    Trained::open(KIND, model, |_, _| Ok(Box::new(ZScore)))
}

#[derive(Debug)]
struct ZScore;

impl Kernel for ZScore {
    fn score_rows(&mut self, rows: ArrayView2<'_, f64>, raw: &mut Vec<f64>) {
        let farthest = |row: &[f64]| row.iter().fold(0.0, |far, z| math::max(far, z.abs()));
        raw.extend(as_rows(rows).map(farthest));
    }

    fn explain_row(&mut self, row: &[f64], contributions: &mut [f64]) {
        contributions.copy_from_slice(row);
    }

    fn write_model(&self, _: &mut Writer) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trained::calibrate::Threshold;
    use qualm_contract::Wanted;

    #[test]
    fn a_value_far_out_is_an_anomaly_and_its_z_says_so() {
        let rows: Vec<f64> = (0..1000).flat_map(|at| [f64::from(at % 10), f64::from(at % 7) * 100.0]).collect();
        let settings = Settings { threshold: Threshold::FalseAlarmRate(1e-3), ..Settings::default() };
        let batch = Batch { series: &[0; 1000], times: &[0; 1000], values: &rows };
        let model = fit(Rows::new(&rows, 2), batch, &settings).unwrap().to_model();
        let mut detector = crate::open(&model).unwrap();
        assert_eq!((&*detector.describe().kind, detector.describe().features), (KIND, 2));
        let values = [4.0, 300.0, 4.0, -3000.0, f64::NAN, f64::NAN];
        let batch = Batch { series: &[0, 0, 0], times: &[0, 1, 2], values: &values };
        let verdicts = detector.verdicts_of(batch, Wanted::CONTRIBUTIONS).unwrap();
        assert!(verdicts.scores[0] < 0.5 && verdicts.scores[1] > 1.0 && verdicts.scores[2].is_nan(), "{verdicts:?}");
        let contributions = &verdicts.contributions;
        assert_eq!(
            (contributions.len(), contributions[0], contributions[4]),
            (6, 0.0, 0.0),
            "only anomalies are explained"
        );
        assert!(contributions[3] < -10.0 && contributions[2].abs() < 1.0, "{contributions:?}");
    }
}
