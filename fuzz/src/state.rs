//! Saved state of detectors.

use std::fs;
use std::time::Duration;

use qualm::state::StateFile;
use qualm_contract::Detector;
use qualm_core::streaming::{Parameters, Streaming};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::safetensors::{SERIES, observe};

/// The seed of the directory, as it stands in the file behind its first line.
const SEED: u64 = 7;

/// How many series of a slice are restored at most.
const MAX_SERIES: usize = 1000;

thread_local! {
    static PLACE: (TempDir, StateFile) = {
        let dir = tempfile::tempdir().expect("a directory for a test");
        let file = StateFile::open(dir.path(), SEED).expect("a new directory can be used");
        (dir, file)
    };
}

/// State that can be read round-trips; a detector restores it, or refuses it and stays unchanged. The digest after the bytes is
/// computed here, because a fuzzer does not find it.
pub(crate) fn state(bytes: &[u8]) {
    PLACE.with(|(_, file)| {
        let read = || file.read_all(Duration::MAX);
        fs::write(file.path(), [bytes, &Sha256::digest(bytes)].concat()).expect("the file can be written");
        let saved = read();
        file.write(&saved).expect("what was read can be written");
        assert_eq!(read(), saved);
        for slice in saved.iter().flat_map(|(_, slices)| slices) {
            assert_eq!(slice.identities.len(), slice.ages.len());
            restore(&slice.state, slice.identities.len().min(MAX_SERIES));
        }
    });
}

/// Restores the state of `series` series.
fn restore(state: &[u8], series: usize) {
    let numbers: Vec<u32> = (0..series as u32).collect();
    let numbered: Vec<_> = numbers.iter().copied().map(Some).collect();
    let mut detector = Streaming::new(Parameters::default());
    observe(&mut detector);
    let before = detector.save_series(&SERIES).expect("what is built in can save");
    if detector.restore_series(state, &numbered).is_err() {
        assert_eq!(
            detector.save_series(&SERIES).expect("what is built in can save"),
            before,
            "what is refused changes nothing"
        );
        return;
    }
    let restored = detector.save_series(&numbers).expect("what is built in can save");
    let mut other = Streaming::new(Parameters::default());
    other.restore_series(&restored, &numbered).expect("what was saved can be restored");
    assert_eq!(other.save_series(&numbers).expect("what is built in can save"), restored);
    observe(&mut detector);
}
