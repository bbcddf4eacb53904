//! Rows that are kept on disk.

use std::fs;

use qualm_bundle::rows::{Ring, Rows};
use tempfile::TempDir;

thread_local! {
    static PLACES: [TempDir; 2] = [(); 2].map(|()| tempfile::tempdir().expect("a directory for a test"));
}

/// A segment that can be read has as many numbers as it should, and is written again as it was. The fuzzer does not know zstd, so
/// that the bytes are compressed here.
pub(crate) fn rows(bytes: &[u8]) {
    let features = ["a", "b"].map(str::to_owned);
    PLACES.with(|[from, to]| {
        let segment = zstd::encode_all(bytes, 1).expect("memory can be compressed");
        fs::write(from.path().join("0000000001.rows"), segment).expect("the file can be written");
        let Ok(read) = Rows::read(from.path(), &features) else { return };
        let rows = read.rows;
        assert_eq!((rows.series.len(), rows.scores.len(), rows.values.len()), (rows.len(), rows.len(), 2 * rows.len()));
        assert!(rows.series.iter().all(|series| (*series as usize) < rows.entities.len()));
        for entry in fs::read_dir(to.path()).expect("the directory can be read") {
            fs::remove_file(entry.expect("it can be read").path()).expect("the file can be removed");
        }
        let mut ring = Ring::open(to.path(), features.to_vec(), 1 << 30).expect("the directory can be used");
        ring.write(&rows).expect("rows can be written");
        let again = Rows::read(to.path(), &features).expect("what was written can be read").rows;
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(
            (again.times, bits(&again.values), bits(&again.scores)),
            (rows.times, bits(&rows.values), bits(&rows.scores))
        );
    });
}
