//! Models, and the detectors that they make.

use qualm_bundle::golden::Golden;
use qualm_contract::{Batch, Detector, Wanted};

/// Models with more features are skipped.
const MAX_FEATURES: u32 = 1000;

/// A model that can be opened scores by the contract, and its state can be saved and restored. Golden rows have their stated
/// number of values.
pub(crate) fn safetensors(bytes: &[u8]) {
    if let Ok(golden) = Golden::read(bytes.to_vec()) {
        assert_eq!(golden.values.len(), golden.rows() * golden.features);
    }
    let Ok(mut detector) = qualm_core::open(bytes) else { return };
    if detector.describe().features > MAX_FEATURES {
        return;
    }
    let scores = observe(&mut *detector);
    let state = detector.save_series(&SERIES).expect("what is built in can save");
    let mut other = qualm_core::open(bytes).expect("what was opened can be opened again");
    assert_eq!(other.describe(), detector.describe());
    assert_eq!(observe(&mut *other), scores, "the same model scores alike");
    let mut restored = qualm_core::open(bytes).expect("what was opened can be opened again");
    restored.restore_series(&state, &SERIES.map(Some)).expect("what was saved can be restored");
    assert_eq!(restored.save_series(&SERIES).expect("what is built in can save"), state);
    assert_eq!(observe(&mut *restored), observe(&mut *detector), "what was restored scores alike");
}

/// The series of the test rows.
pub(crate) const SERIES: [u32; 3] = [0, 1, 2];

/// Scores some ordinary and some extreme rows, checks the verdicts, and returns the bits of the scores.
pub(crate) fn observe(detector: &mut dyn Detector) -> Vec<u64> {
    let features = detector.describe().features as usize;
    let numbers = [0.0, 1.0, f64::NAN, -5.5, 1e308, f64::INFINITY, 3.0, -0.0, 5e-324, 1e9, 2.0];
    let series: Vec<u32> = (0..12).map(|row| SERIES[row % 3]).collect();
    let times: Vec<i64> = (0..12).map(|row| 1_700_000_000_000_000_000 + row * 10_000_000_000).collect();
    let values: Vec<f64> = numbers.into_iter().cycle().take(12 * features).collect();
    let batch = Batch { series: &series, times: &times, values: &values };
    let wanted = Wanted { contributions: true, bands: true };
    let verdicts = detector.verdicts_of(batch, wanted).expect("rows of the right shape are taken");
    assert_eq!(verdicts.scores.len(), series.len());
    assert!(verdicts.scores.iter().all(|score| score.is_nan() || score.is_finite() && *score >= 0.0), "{verdicts:?}");
    assert_eq!(verdicts.contributions.len(), values.len());
    assert!(verdicts.contributions.iter().all(|part| part.is_finite()), "{verdicts:?}");
    assert!(verdicts.reasons.is_empty() || verdicts.reasons.len() == series.len());
    assert!(verdicts.bands.is_empty() || verdicts.bands.len() == series.len());
    verdicts.scores.iter().map(|score| score.to_bits()).collect()
}
