//! What isolation forests promise, plain and extended, whatever the rows and whatever a model's bytes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use qualm_contract::{Batch, Error, Wanted};
use qualm_core::forest::extended::{self, Extended};
use qualm_core::forest::{self, Forest, Parameters};
use qualm_core::linalg::as_matrix;
use qualm_core::model::Writer;
use qualm_core::trained::calibrate::Threshold;
use qualm_core::trained::prepare::Scaling;
use qualm_core::trained::{Kernel, Rows, Settings};

/// Pseudo-random numbers (Marsaglia's xorshift64) in 0..1.
fn random(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    })
}

/// Rows in a cube, and one far out in the second feature.
fn rows(count: usize, features: usize) -> Vec<f64> {
    let mut rows: Vec<f64> = random(88_172_645_463_325_252).take(count * features).collect();
    rows[1] = 5.0;
    rows
}

/// Of each kind one, grown with these parameters.
fn kernels(rows: &[f64], features: usize, parameters: &Parameters) -> Vec<Box<dyn Kernel>> {
    let rows = as_matrix(rows, features);
    let mut kernels: Vec<Box<dyn Kernel>> = vec![Box::new(Forest::fit(rows, parameters).unwrap())];
    for extension in [0, 1, u32::MAX] {
        kernels.push(Box::new(Extended::fit(rows, parameters, extension).unwrap()));
    }
    kernels
}

fn scores(kernel: &mut dyn Kernel, rows: &[f64], features: usize) -> Vec<f64> {
    let mut raw = Vec::new();
    kernel.score_rows(as_matrix(rows, features), &mut raw);
    raw
}

fn bytes(kernel: &dyn Kernel) -> Vec<u8> {
    let mut model = Writer::default();
    kernel.write_model(&mut model);
    model.finish()
}

/// Rows are taken through the trees one by one or many at a time, by how many there are.
#[test]
fn a_row_has_the_same_score_whatever_comes_with_it() {
    for (features, max_samples) in [(1, 256), (12, 256), (38, 700), (300, 256)] {
        let rows = rows(700, features);
        for trees in [1, 16, 100] {
            let parameters = Parameters { trees, max_samples, ..Parameters::default() };
            for mut kernel in kernels(&rows, features, &parameters) {
                let alone: Vec<u64> = rows
                    .chunks(features)
                    .flat_map(|row| scores(&mut *kernel, row, features))
                    .map(f64::to_bits)
                    .collect();
                for count in [7, 8, 9, 10, 15, 16, 16 + 3, 16 + 12, 64, 64 + 3, 700] {
                    let together: Vec<u64> = scores(&mut *kernel, &rows[..count * features], features)
                        .into_iter()
                        .map(f64::to_bits)
                        .collect();
                    assert_eq!(together, alone[..count], "{features} features, {trees} trees, {count} rows");
                }
            }
        }
    }
}

#[test]
fn what_is_far_out_scores_high_and_its_feature_contributes_most() {
    for (features, max_features, max_samples) in [(2, 1.0, 256), (3, 1.0, 2000), (5, 0.6, 256)] {
        let rows = rows(1000, features);
        let parameters = Parameters { max_features, max_samples, ..Parameters::default() };
        for mut kernel in kernels(&rows, features, &parameters) {
            let raw = scores(&mut *kernel, &rows, features);
            assert!(raw.iter().all(|raw| *raw > 0.0 && *raw <= 1.0));
            // Most trees never saw it, and to them it is at the edge only: of one feature of few, that is enough.
            let above = raw.iter().filter(|other| **other > raw[0]).count();
            assert!(above < 10 || features > 3, "{features} features: {above}");
            let mut contributions = vec![f64::NAN; features];
            kernel.explain_row(&rows[..features], &mut contributions);
            let others = contributions.iter().enumerate().filter(|(at, _)| *at != 1);
            assert!(others.into_iter().all(|(_, other)| *other < contributions[1]), "{contributions:?}");
        }
    }
}

#[test]
fn the_same_seed_grows_the_same_forest() {
    let rows = rows(500, 4);
    let grown = |seed| kernels(&rows, 4, &Parameters { seed, ..Parameters::default() });
    for ((one, same), other) in grown(1).iter().zip(grown(1)).zip(grown(2)) {
        assert_eq!(bytes(&**one), bytes(&*same));
        assert_ne!(bytes(&**one), bytes(&*other));
    }
}

#[test]
fn any_rows_make_a_forest() {
    let varied = rows(100, 3);
    let constant: Vec<f64> = varied.chunks(3).flat_map(|row| [7.0, row[1], -1e12]).collect();
    let twins: Vec<f64> = varied[..6].iter().copied().cycle().take(600).collect();
    for rows in [&varied[..3], &varied[..6], &varied[..9], &constant, &twins, &[1e12; 300], &[0.0; 300]] {
        let parameters = Parameters { trees: 20, ..Parameters::default() };
        for mut kernel in kernels(rows, 3, &parameters) {
            let extreme_rows = [rows, &[1e12, -0.0, -1e12, 0.0, f64::MIN_POSITIVE, 3.0]].concat();
            assert!(scores(&mut *kernel, &extreme_rows, 3).iter().all(|raw| *raw > 0.0 && *raw <= 1.0));
            let mut contributions = [f64::NAN; 3];
            for row in extreme_rows.chunks(3) {
                kernel.explain_row(row, &mut contributions);
                assert!(contributions.iter().all(|contribution| contribution.is_finite()), "{row:?} {contributions:?}");
            }
        }
    }
    let kernel = &mut kernels(&constant, 3, &Parameters::default())[0];
    let mut contributions = [f64::NAN; 3];
    kernel.explain_row(&[0.0, 5.0, 0.0], &mut contributions);
    assert_eq!((contributions[0].abs().to_bits(), contributions[2].abs().to_bits()), (0, 0), "what never varied");
}

#[test]
fn what_cannot_be_grown_is_refused() {
    let defaults = Parameters::default();
    for (parameters, what) in [
        (Parameters { trees: 0, ..defaults }, "`trees` is 0"),
        (Parameters { trees: 1_000_000, ..defaults }, "`trees` is 1000000"),
        (Parameters { max_samples: 0, ..defaults }, "`max_samples` is 0"),
        (Parameters { max_features: 0.0, ..defaults }, "`max_features` is 0"),
        (Parameters { max_features: f64::NAN, ..defaults }, "`max_features` is NaN"),
    ] {
        let rows = as_matrix(&[1.0, 2.0], 1);
        for error in [Forest::fit(rows, &parameters).unwrap_err(), Extended::fit(rows, &parameters, 0).unwrap_err()] {
            assert!(error.to_string().contains(what), "{error}");
        }
    }
    assert!(
        Forest::fit(as_matrix(&vec![0.0; 5000], 5000), &defaults).unwrap_err().to_string().contains("5000 features")
    );
    assert!(Forest::fit(as_matrix(&[], 1), &defaults).unwrap_err().to_string().contains("0 rows"));
}

/// Models of both kinds, and of trees that are deeper than a heap.
fn models() -> Vec<Vec<u8>> {
    let rows = rows(600, 3);
    let (series, times) = ([0; 600], [0; 600]);
    let validation = Batch { series: &series, times: &times, values: &rows };
    let settings = Settings { threshold: Threshold::Contamination(0.1), ..Settings::default() };
    let small = Parameters { trees: 3, max_samples: 16, ..Parameters::default() };
    let deep = Parameters { trees: 2, max_samples: 600, ..Parameters::default() };
    let rows = Rows::new(&rows, 3);
    vec![
        forest::fit(rows, validation, &settings, &small).unwrap().to_model(),
        forest::fit(rows, validation, &settings, &deep).unwrap().to_model(),
        extended::fit(rows, validation, &settings, &small, 1).unwrap().to_model(),
        extended::fit(rows, validation, &settings, &small, 2).unwrap().to_model(),
    ]
}

/// Opens a model and has it score and explain something.
fn used(model: &[u8]) -> Result<Vec<f64>, Error> {
    let mut detector = qualm_core::open(model)?;
    let features = detector.describe().features as usize;
    let values: Vec<f64> = random(7).map(|x| x * 20.0 - 10.0).take(20 * features).collect();
    let verdicts =
        detector.verdicts_of(Batch { series: &[0; 20], times: &[0; 20], values: &values }, Wanted::CONTRIBUTIONS)?;
    Ok([verdicts.scores, verdicts.contributions].concat())
}

#[test]
fn what_was_written_scores_the_same() {
    let rows = rows(600, 3);
    let settings =
        Settings { scaling: Scaling::Robust, threshold: Threshold::Contamination(0.1), ..Settings::default() };
    let (series, times) = ([0; 600], [0; 600]);
    let batch = Batch { series: &series, times: &times, values: &rows };
    for max_samples in [256, 600] {
        let parameters = Parameters { max_samples, ..Parameters::default() };
        let plain = forest::fit(Rows::new(&rows, 3), batch, &settings, &parameters).unwrap();
        let extended = extended::fit(Rows::new(&rows, 3), batch, &settings, &parameters, 1).unwrap();
        for (mut grown, kind) in [(plain, forest::KIND), (extended, extended::KIND)] {
            use qualm_contract::Detector as _;
            let mut read = qualm_core::open(&grown.to_model()).unwrap();
            assert_eq!(read.describe().kind, kind);
            assert_eq!(read.verdicts_of(batch, Wanted::CONTRIBUTIONS), grown.verdicts_of(batch, Wanted::CONTRIBUTIONS));
        }
    }
}

#[test]
fn no_bytes_do_harm() {
    for model in models() {
        used(&model).unwrap();
        let header = 8 + u64::from_le_bytes(*model.first_chunk().unwrap()) as usize;
        let mut random = random(99);
        let mut draw = |n: usize| (random.next().unwrap() * n as f64) as usize;
        let mut refused = 0;
        for at in 0..2500 {
            let mut spoilt = model.clone();
            for _ in 0..=draw(3) {
                // The header is short, and most of what is spoilt there is not even JSON.
                let place = if at % 4 == 0 { draw(header) } else { header + draw(model.len() - header) };
                spoilt[place] = [0, 1, 0x7f, 0x80, 0xff, draw(256) as u8][draw(6)];
            }
            refused += u32::from(used(&spoilt).is_err());
        }
        assert!((400..2500).contains(&refused), "{refused}");
        for end in (0..model.len()).step_by(7) {
            used(&model[..end]).unwrap_err();
        }
    }
}

#[test]
fn where_all_is_anomalous_the_first_rows_are_explained() {
    let rows: Vec<f64> = (0..2000).flat_map(|row| [f64::from(row % 37), f64::from(row % 11)]).collect();
    let (series, times) = (vec![0; 1000], vec![0; 1000]);
    let ordinary = Batch { series: &series, times: &times, values: &rows[..2000] };
    let settings = Settings { threshold: Threshold::Contamination(0.01), ..Settings::default() };
    let trained = forest::fit(Rows::new(&rows, 2), ordinary, &settings, &Parameters::default()).unwrap();
    let mut detector = qualm_core::open(&trained.to_model()).unwrap();
    let far = vec![1e6; 2000];
    let verdicts = detector.verdicts_of(Batch { values: &far, ..ordinary }, Wanted::CONTRIBUTIONS).unwrap();
    assert!(verdicts.scores.iter().all(|score| *score > 1.0));
    let explained = verdicts.contributions.chunks(2).filter(|shares| shares.iter().any(|share| *share != 0.0));
    assert_eq!(explained.count(), 100);
}
