//! What training rows looked like.

use std::sync::Arc;

use qualm_bundle::reference::ReferenceFile;
use qualm_drift::{Live, Options, newest_regime};

/// References with more features are skipped.
const MAX_FEATURES: usize = 50;

/// Rows in ten windows of nine blocks.
const ROWS: i64 = 90 * 64;

/// A reference that can be read is written as it is, and any rows can be compared with it.
pub(crate) fn reference(bytes: &[u8]) {
    let Ok(file) = ReferenceFile::read(bytes.to_vec()) else { return };
    let again = ReferenceFile::new(file.reference.as_ref().clone(), file.window);
    let read = ReferenceFile::read(again.bytes().to_vec()).expect("what was written can be read");
    assert_eq!((read.window, read.bytes()), (file.window, again.bytes()));
    let features = file.reference.features.len();
    if features > MAX_FEATURES {
        return;
    }
    let options = Options { window: file.window, ..Options::default() };
    let step = i64::try_from(file.window.as_nanos() / (9 * 64)).unwrap_or(i64::MAX);
    let numbers = [0.0, 1.0, f64::NAN, -5.5, 1e308, f64::INFINITY, 3.0, -0.0, 5e-324, 1e9, 2.0];
    let values: Vec<f64> = numbers.into_iter().cycle().take(features * ROWS as usize).collect();
    let times: Vec<i64> = (0..ROWS).map(|row| row.saturating_mul(step)).collect();
    let mut live = Live::new(Arc::clone(&file.reference), options.clone());
    for (row, time) in times.iter().enumerate() {
        live.observe(*time, &values[row * features..][..features], numbers[row % numbers.len()]);
    }
    for feature in live.report().features.iter().chain([&live.report().score]) {
        for test in &feature.tests {
            assert!(test.statistic >= 0.0 && test.statistic.is_finite(), "{test:?}");
            assert!(test.p_value.is_none_or(|p_value| (0.0..=1.0).contains(&p_value)), "{test:?}");
        }
    }
    let first = newest_regime(&file.reference, &times, &values, &options).expect("lengths fit");
    assert!(first < times.len());
}
