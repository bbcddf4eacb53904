//! What a model's training rows looked like, for detecting drift: `reference.safetensors`.
//!
//! A table in columns, with a row for each feature and behind them one for the score.

use std::sync::Arc;
use std::time::Duration;

use qualm_core::model::{Model, Writer};
use qualm_drift::{Distribution, Effects, MAX_BINS, Ordinary, QUANTILES, Reference};

use crate::error::Fault;
use crate::files::REFERENCE;

/// The version of the layout.
const VERSION: &str = "1";

/// How many numbers each column has for a row.
const WIDTHS: [(&str, usize); 5] =
    [("moments", 3), ("quantiles", QUANTILES), ("edges", MAX_BINS - 1), ("counts", MAX_BINS), ("ordinary", 6)];

/// A reference, with its file.
#[derive(Debug, Clone)]
pub struct ReferenceFile {
    /// What it says.
    pub reference: Arc<Reference>,
    /// The length of the windows whose differences from the whole it calls ordinary: live rows are compared in as long ones.
    pub window: Duration,
    /// The file as it was read: another writer may have laid it out differently.
    bytes: Vec<u8>,
}

impl ReferenceFile {
    /// Writes the file.
    #[must_use]
    pub fn new(reference: Reference, window: Duration) -> Self {
        let rows = || reference.features.iter().chain([&reference.score]);
        let Ordinary { median, p95, alarm_rate, burst } = reference.ordinary;
        let mut file = Writer::default();
        file.set("kind", "reference").set("version", VERSION).set("alarm_rate", reference.alarm_rate);
        file.set("window", window.as_nanos());
        file.set("ordinary.median", median).set("ordinary.p95", p95);
        file.set("ordinary.alarm_rate", alarm_rate).set("ordinary.burst", burst);
        for (column, (name, width)) in WIDTHS.into_iter().enumerate() {
            let mut numbers = Vec::new();
            for (at, row) in rows().enumerate() {
                let Effects { ks, stability_index, wasserstein, jensen_shannon, chi_square, missing } = row.ordinary;
                match column {
                    0 => numbers.extend([row.missing, row.mean, row.deviation]),
                    1 => numbers.extend(&row.quantiles),
                    2 => numbers.extend(&row.edges),
                    3 => numbers.extend(&row.counts),
                    _ => numbers.extend([ks, stability_index, wasserstein, jensen_shannon, chi_square, missing]),
                }
                numbers.resize((at + 1) * width, f64::NAN); // where a row has fewer
            }
            file.doubles(name, &[rows().count(), width], &numbers);
        }
        let bytes = file.finish();
        Self { reference: Arc::new(reference), window, bytes }
    }

    /// Parses the file.
    ///
    /// # Errors
    ///
    /// [`Fault::File`] where it is no reference.
    pub fn read(bytes: Vec<u8>) -> Result<Self, Fault> {
        let bad = |what: String| Fault::File { file: REFERENCE.to_owned(), what };
        let plain = |error: qualm_contract::Error| match error {
            qualm_contract::Error::BadModel(what) => bad(what),
            other => other.into(),
        };
        let file = Model::read(&bytes).map_err(plain)?;
        let (kind, version) = (file.text("kind").map_err(plain)?, file.text("version").map_err(plain)?);
        if (kind, version) != ("reference", VERSION) {
            return Err(bad(format!(
                "it is of the kind `{kind}`, version {version}, not a reference of version {VERSION}"
            )));
        }
        let columns =
            WIDTHS.map(|(name, _)| file.values(name)).into_iter().collect::<Result<Vec<_>, _>>().map_err(plain)?;
        let rows = columns[0].len() / 3;
        if rows == 0 || columns.iter().zip(WIDTHS).any(|(column, (_, width))| column.len() != rows * width) {
            return Err(bad("its columns differ in length".to_owned()));
        }
        let distribution = |row: usize| {
            let of = |column: usize| {
                let width = WIDTHS[column].1;
                let numbers = columns[column][row * width..][..width].iter();
                numbers.copied().take_while(|number| !number.is_nan()).collect::<Vec<f64>>()
            };
            let [missing, mean, deviation]: [f64; 3] = of(0).try_into().ok()?;
            let [ks, stability_index, wasserstein, jensen_shannon, chi_square, absent]: [f64; 6] =
                of(4).try_into().ok()?;
            let ordinary = Effects { ks, stability_index, wasserstein, jensen_shannon, chi_square, missing: absent };
            Some(Distribution { missing, mean, deviation, quantiles: of(1), edges: of(2), counts: of(3), ordinary })
        };
        let features: Option<Vec<Distribution>> = (0..rows).map(distribution).collect();
        let Some((score, features)) = features.as_ref().and_then(|rows| rows.split_last()) else {
            return Err(bad("it has a NaN among moments or ordinary effects".to_owned()));
        };
        let number = |name: &str| file.finite(name).map_err(plain);
        let reference = Reference {
            features: features.to_vec(),
            score: score.clone(),
            alarm_rate: number("alarm_rate")?,
            ordinary: Ordinary {
                median: number("ordinary.median")?,
                p95: number("ordinary.p95")?,
                alarm_rate: number("ordinary.alarm_rate")?,
                burst: number("ordinary.burst")?,
            },
        };
        reference.check().map_err(|error| bad(error.to_string()))?;
        let window = file.number::<u64>("window").map(Duration::from_nanos).map_err(plain)?;
        if window.is_zero() {
            return Err(bad("its `window` is 0".to_owned()));
        }
        Ok(Self { reference: Arc::new(reference), window, bytes })
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Reference {
        let times: Vec<i64> = (0..2000).map(|row| row * 60_000_000_000).collect();
        let value = |row: i64| [row as f64 % 7.0, f64::NAN, (row as f64).sin()];
        let values: Vec<f64> = (0..2000).flat_map(value).collect();
        let scores: Vec<f64> = (0..2000).map(|row| f64::from(row % 100) / 98.0).collect();
        Reference::new(&times, &values, 3, &scores, Duration::from_hours(4)).unwrap()
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let written = ReferenceFile::new(reference(), Duration::from_hours(4));
        let read = ReferenceFile::read(written.bytes().to_vec()).unwrap();
        assert_eq!((&*read.reference, read.window), (&reference(), Duration::from_hours(4)));
        assert_eq!((read.bytes(), read.reference.features[1].quantiles.len()), (written.bytes(), 0));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let refused = |reference: Reference| {
            let bytes = ReferenceFile::new(reference, Duration::from_secs(1)).bytes().to_vec();
            ReferenceFile::read(bytes).unwrap_err().to_string()
        };
        let mut impossible = reference();
        impossible.features[2].counts[0] = -1.0;
        assert!(refused(impossible).contains("feature 2: the counts must be"));
        let mut not_a_number = reference();
        not_a_number.score.mean = f64::NAN;
        assert!(refused(not_a_number).contains("NaN among moments"));
        let mut narrow = Writer::default();
        narrow.set("kind", "reference").set("version", VERSION);
        for (name, width) in WIDTHS {
            narrow.doubles(name, &[1, width - 1], &vec![0.0; width - 1]);
        }
        assert!(ReferenceFile::read(narrow.finish()).unwrap_err().to_string().contains("differ in length"));
        let mut other = Writer::default();
        other.set("kind", "golden").set("version", VERSION);
        assert!(ReferenceFile::read(other.finish()).unwrap_err().to_string().contains("of the kind `golden`"));
        ReferenceFile::read(b"nothing".to_vec()).unwrap_err();
    }
}
