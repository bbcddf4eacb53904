//! The detector with all its stages, on streams of several series.

use std::collections::BTreeMap;

use super::*;
use crate::autoencoder::architecture::{Architecture, Network, Order};
use crate::autoencoder::weights::{Tensor, Weights};
use crate::autoencoder::{self, Combine};
use crate::pca::tests::Random;
use crate::pca::{self, Index, Parameters};

const FEATURES: usize = 5;

/// Rows in a window.
const WINDOW: usize = 8;

/// A stream of rows, each with its series.
#[derive(Clone)]
struct Stream {
    series: Vec<u32>,
    times: Vec<i64>,
    values: Vec<f64>,
}

impl Stream {
    /// Three series that take turns by chance, each at a level of its own and on two causes; the last feature never moves,
    /// and of the others a value lacks now and then.
    fn new(seed: u64, count: usize, missing: bool) -> Self {
        let random = &mut Random(seed);
        let mut this = Self { series: Vec::new(), times: vec![0; count], values: Vec::new() };
        for _ in 0..count {
            let series = (random.uniform() * 3.0) as u32;
            let (a, b, level) = (random.normal(), random.normal(), f64::from(series) * 3.0);
            let row = [level + a, a + 0.1 * random.normal(), level - 2.0 * b, b - a + 0.1 * random.normal(), 4.0];
            this.series.push(series);
            this.values.extend(row.map(|x| if missing && random.uniform() < 0.05 { f64::NAN } else { x }));
        }
        this
    }

    fn batch(&self, from: usize, to: usize) -> Batch<'_> {
        Batch {
            series: &self.series[from..to],
            times: &self.times[from..to],
            values: &self.values[from * FEATURES..to * FEATURES],
        }
    }

    fn len(&self) -> usize {
        self.series.len()
    }
}

fn all() -> Settings {
    Settings {
        clip: Some(10.0),
        baseline: Some(9.0),
        whiten: Some(0.03),
        memory: 39.0,
        threshold: Threshold::FalseAlarmRate(1e-3),
        ..Settings::default()
    }
}

fn parameters() -> Parameters {
    Parameters { index: Index::Whitened, clip: Some(10.0), ..Parameters::default() }
}

fn fitted(settings: &Settings) -> Trained {
    let (train, validation) = (Stream::new(1, 3000, true), Stream::new(2, 2000, true));
    let rows = Rows::of_series(&train.series, &train.values, FEATURES);
    pca::fit(rows, validation.batch(0, validation.len()), settings, &parameters()).unwrap()
}

/// Each stage alone, none, and all; and a kernel that spans several rows.
fn models() -> Vec<(String, Vec<u8>)> {
    let named = |settings: Settings| (format!("{settings:?}"), fitted(&settings).to_model());
    let mut models: Vec<_> = variety().into_iter().map(named).collect();
    models.push(("autoencoder".to_owned(), autoencoder(Combine::Mean, true).to_model()));
    models
}

/// Networks of each kind with weights by chance.
fn autoencoder(combine: Combine, hide_newest: bool) -> Trained {
    let (train, validation) = (Stream::new(1, 3000, true), Stream::new(2, 2000, true));
    let rows = Rows::of_series(&train.series, &train.values, FEATURES);
    let settings = Settings { whiten: None, power: 1.5, ..all() };
    let validation = validation.batch(0, validation.len());
    autoencoder::fit::<FitError>(rows, validation, &settings, WINDOW, combine, hide_newest, |history| {
        assert_eq!((history.training.len(), history.validation.len()), (3, 3), "a run each series");
        let random = &mut Random(9);
        let weights = |network| {
            let (features, window, order) = (FEATURES, WINDOW, Order::Reversed);
            let architecture =
                Architecture { network, features, window, hidden: 6, layers: 2, bottleneck: 2, kernel: 3, order };
            let shapes: BTreeMap<String, Vec<usize>> = architecture.tensors().into_iter().collect();
            let tensor = |name: &str| {
                let shape = shapes[name].clone();
                let numbers = (0..shape.iter().product()).map(|_| 0.3 * random.normal() as f32).collect();
                Ok(Tensor { shape, numbers })
            };
            Weights::new(architecture, tensor).unwrap()
        };
        Ok(Network::ALL.map(weights).to_vec())
    })
    .unwrap()
}

fn variety() -> [Settings; 6] {
    let plain = Settings { threshold: Threshold::FalseAlarmRate(1e-3), ..Settings::default() };
    [
        Settings { clip: Some(5.0), ..plain.clone() },
        Settings { baseline: Some(9.0), ..plain.clone() },
        Settings { whiten: Some(0.03), ..plain.clone() },
        Settings { memory: 9.0, ..plain.clone() },
        plain,
        all(),
    ]
}

/// A stream in which something goes wrong for good.
fn faulty() -> Stream {
    let mut stream = Stream::new(3, 900, true);
    for row in stream.values.chunks_exact_mut(FEATURES).skip(400) {
        row[1] += 25.0;
    }
    stream
}

fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

#[test]
fn however_rows_are_cut_into_batches_scores_are_the_same() {
    let stream = faulty();
    for (name, model) in models() {
        let mut whole = crate::open(&model).unwrap();
        let expected = whole.verdicts_of(stream.batch(0, stream.len()), Wanted::CONTRIBUTIONS).unwrap();
        for size in [1, 3, 64, 401] {
            let mut detector = crate::open(&model).unwrap();
            let (mut scores, mut contributions) = (Vec::new(), Vec::new());
            for from in (0..stream.len()).step_by(size) {
                let verdicts = detector
                    .verdicts_of(stream.batch(from, (from + size).min(stream.len())), Wanted::CONTRIBUTIONS)
                    .unwrap();
                scores.extend(verdicts.scores);
                contributions.extend(verdicts.contributions);
            }
            assert_eq!(bits(&scores), bits(&expected.scores), "{name}, {size} at a time");
            assert_eq!(bits(&contributions), bits(&expected.contributions), "{name}, {size} at a time");
        }
    }
}

#[test]
fn a_restored_detector_goes_on_to_the_bit() {
    let stream = faulty();
    for (name, model) in models() {
        let mut whole = crate::open(&model).unwrap();
        let expected = whole.verdicts_of(stream.batch(0, stream.len()), Wanted::SCORES).unwrap().scores;
        for at in [1, 200, 410, 899] {
            let mut before = crate::open(&model).unwrap();
            before.verdicts_of(stream.batch(0, at), Wanted::SCORES).unwrap();
            let state = before.save_series(&[2, 0, 1]).unwrap();
            // In the other process series have other numbers.
            let mut after = crate::open(&model).unwrap();
            after.restore_series(&state, &[Some(0), Some(1), Some(2)]).unwrap();
            assert_eq!(after.save_series(&[0, 1, 2]).unwrap(), state);
            let mut renumbered = stream.clone();
            renumbered.series.iter_mut().for_each(|series| *series = (*series + 1) % 3);
            let scores = after.verdicts_of(renumbered.batch(at, stream.len()), Wanted::SCORES).unwrap().scores;
            assert_eq!(bits(&scores), bits(&expected[at..]), "{name} from {at}");
        }
    }
}

#[test]
fn series_do_not_mix() {
    let stream = faulty();
    for (name, model) in models() {
        let together =
            crate::open(&model).unwrap().verdicts_of(stream.batch(0, stream.len()), Wanted::SCORES).unwrap().scores;
        for series in 0..3 {
            let rows = || stream.series.iter().enumerate().filter(|(_, other)| **other == series).map(|(at, _)| at);
            let values: Vec<f64> =
                rows().flat_map(|at| &stream.values[at * FEATURES..(at + 1) * FEATURES]).copied().collect();
            let zeros = vec![0; rows().count()];
            let batch = Batch { series: &zeros, times: stream.batch(0, zeros.len()).times, values: &values };
            let alone = crate::open(&model).unwrap().verdicts_of(batch, Wanted::SCORES).unwrap().scores;
            assert_eq!(bits(&alone), rows().map(|at| together[at].to_bits()).collect::<Vec<_>>(), "{name}");
        }
    }
}

#[test]
fn training_rows_of_several_series_do_not_mix_either() {
    // Two series at levels far apart take turns: to one that took them for the same, each row would be a change.
    let random = &mut Random(5);
    let series: Vec<u32> = (0..2000).map(|at| at % 2).collect();
    let values: Vec<f64> = series.iter().map(|series| f64::from(*series) * 100.0 + random.normal()).collect();
    let batch = Batch { series: &series, times: &[0; 2000], values: &values };
    let model = pca::fit(Rows::of_series(&series, &values, 1), batch, &all(), &parameters()).unwrap().to_model();
    let mut detector = crate::open(&model).unwrap();
    detector.verdicts_of(batch, Wanted::SCORES).unwrap();
    let jump = Batch { series: &[0], times: &[0], values: &[30.0] };
    assert!(detector.verdicts_of(jump, Wanted::SCORES).unwrap().scores[0] > 1.0);
}

#[test]
fn a_fault_that_lasts_is_reported_with_its_first_row_alone() {
    let mut stream = Stream::new(3, 3000, false);
    for row in stream.values.chunks_exact_mut(FEATURES).skip(400).take(1600) {
        row[1] += 6.0; // not as far as the clip, where it would no longer follow the others
    }
    let mut detector = crate::open(&fitted(&all()).to_model()).unwrap();
    let scores = detector.verdicts_of(stream.batch(0, stream.len()), Wanted::SCORES).unwrap().scores;
    for series in 0..3 {
        let of = |from: usize, to: usize| {
            let rows = scores[from..to].iter().zip(&stream.series[from..to]);
            rows.filter(|(_, other)| **other == series).map(|(score, _)| *score).collect::<Vec<_>>()
        };
        let (onset, ended) = (of(400, 430), of(1600, 2000));
        assert!(onset[0] > 1.0 && onset[1..].iter().all(|score| (0.5..1.0).contains(score)), "{onset:?}");
        assert!(ended.iter().all(|score| *score < 0.5), "a change that is over ends its incident");
    }
    assert!(scores.iter().filter(|score| **score > 1.0).count() < 12, "three begin, and three end");
}

#[test]
fn with_another_threshold_each_row_is_an_anomaly_by_itself() {
    let mut stream = Stream::new(3, 900, false);
    for row in stream.values.chunks_exact_mut(FEATURES).skip(400) {
        row[1] += 25.0;
    }
    let settings = Settings { threshold: Threshold::Contamination(0.01), baseline: None, ..all() };
    let mut detector = crate::open(&fitted(&settings).to_model()).unwrap();
    let scores = detector.verdicts_of(stream.batch(0, stream.len()), Wanted::SCORES).unwrap().scores;
    assert!(scores[400..].iter().all(|score| *score > 1.0), "{scores:?}");
}

#[test]
fn contributions_add_up_to_the_row_itself() {
    let stream = faulty();
    let trained = fitted(&Settings { memory: 1.0, ..all() });
    let calibration = trained.calibration();
    let mut detector = crate::open(&trained.to_model()).unwrap();
    let verdicts = detector.verdicts_of(stream.batch(0, stream.len()), Wanted::CONTRIBUTIONS).unwrap();
    let mut reported = 0;
    for (score, contributions) in verdicts.scores.iter().zip(verdicts.contributions.chunks_exact(FEATURES)) {
        let sum: f64 = contributions.iter().sum();
        assert!(contributions.iter().all(|one| *one >= 0.0) && (sum > 0.0) == (*score > 1.0));
        if *score > 1.0 {
            // The factor of the threshold has not risen far yet.
            let factor = calibration.score(calibration.units(sum)) / score;
            assert!((0.99..20.1).contains(&factor), "{sum} {score}");
            reported += 1;
        }
    }
    assert!(reported > 2, "{reported}");
}

#[test]
fn rows_without_values_are_not_scored_and_change_nothing() {
    let stream = faulty();
    let model = fitted(&all()).to_model();
    let (mut one, mut other) = (crate::open(&model).unwrap(), crate::open(&model).unwrap());
    one.verdicts_of(stream.batch(0, 500), Wanted::SCORES).unwrap();
    other.verdicts_of(stream.batch(0, 500), Wanted::SCORES).unwrap();
    let nothing = Batch { series: &[1], times: &[0], values: &[f64::NAN; FEATURES] };
    assert!(one.verdicts_of(nothing, Wanted::CONTRIBUTIONS).unwrap().scores[0].is_nan());
    assert_eq!(one.save_series(&[0, 1, 2]).unwrap(), other.save_series(&[0, 1, 2]).unwrap());
}

#[test]
fn a_change_of_what_never_changed_is_seen() {
    let mut stream = Stream::new(6, 300, false);
    stream.values[299 * FEATURES + 4] = 4.001;
    let mut detector = crate::open(&fitted(&Settings { memory: 1.0, ..all() }).to_model()).unwrap();
    let verdicts = detector.verdicts_of(stream.batch(0, 300), Wanted::CONTRIBUTIONS).unwrap();
    let contributions = &verdicts.contributions[299 * FEATURES..];
    assert!(verdicts.scores[299] > 1.0 && contributions[4] > 10.0 * contributions[0], "{contributions:?}");
}

#[test]
fn another_model_goes_on_where_the_last_one_was() {
    let stream = faulty();
    let mut old = crate::open(&fitted(&all()).to_model()).unwrap();
    old.verdicts_of(stream.batch(0, 300), Wanted::SCORES).unwrap();
    // The same metrics, in training half as wide.
    let mut narrow = Stream::new(1, 3000, true);
    narrow.values.iter_mut().for_each(|value| *value /= 2.0);
    let rows = Rows::of_series(&narrow.series, &narrow.values, FEATURES);
    let new = pca::fit(rows, narrow.batch(0, 3000), &all(), &parameters()).unwrap().to_model();
    let mut new = crate::open(&new).unwrap();
    new.restore_series(&old.save_series(&[0, 1, 2]).unwrap(), &[Some(0), Some(1), Some(2)]).unwrap();
    assert_eq!(
        new.save_series(&[0, 1, 2]).unwrap(),
        old.save_series(&[0, 1, 2]).unwrap(),
        "means are in the metrics' own units"
    );
    assert!(
        new.verdicts_of(stream.batch(300, 400), Wanted::SCORES)
            .unwrap()
            .scores
            .iter()
            .all(|score| !score.is_infinite())
    );
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let train = Stream::new(1, 300, false);
    let rows = Rows::of_series(&train.series, &train.values, FEATURES);
    for (settings, what) in [
        (Settings { clip: Some(-1.0), ..all() }, "`clip` is -1"),
        (Settings { baseline: Some(0.5), ..all() }, "`baseline` is 0.5"),
        (Settings { whiten: Some(2.0), ..all() }, "`whiten` is 2"),
        (Settings { memory: f64::NAN, ..all() }, "`memory` is NaN"),
        (Settings { memory_weight: -1.0, ..all() }, "`memory_weight` is -1"),
    ] {
        let error = pca::fit(rows, train.batch(0, 300), &settings, &parameters()).unwrap_err();
        assert!(error.0.contains(what), "{error}");
    }
}

#[test]
fn a_window_is_scored_once_half_of_it_is_known() {
    let mut stream = Stream::new(4, 400, false);
    stream.series.fill(0);
    let mut detector = autoencoder(Combine::Mean, true);
    assert_eq!(detector.describe().warm_up as usize, WINDOW / 2);
    let scores = detector.verdicts_of(stream.batch(0, 100), Wanted::SCORES).unwrap().scores;
    assert!(scores[..WINDOW / 2 - 1].iter().all(|score| score.is_nan()), "{scores:?}");
    assert!(scores[WINDOW / 2 - 1..].iter().all(|score| score.is_finite()));
    // A feature that is missing is no reason to be anomalous, nor for the window's other features not to be scored.
    let mut gaps = stream.clone();
    gaps.values.chunks_exact_mut(FEATURES).skip(100).take(WINDOW).for_each(|row| row[2] = f64::NAN);
    let gap = detector.verdicts_of(gaps.batch(100, 120), Wanted::SCORES).unwrap().scores;
    assert!(gap.iter().all(|score| *score < 1.0), "{gap:?}");
    // With more than half of the window missing there is no score.
    gaps.values.chunks_exact_mut(FEATURES).skip(200).take(WINDOW).for_each(|row| row[1..].fill(f64::NAN));
    detector.verdicts_of(gaps.batch(120, 200), Wanted::SCORES).unwrap();
    let gap = detector.verdicts_of(gaps.batch(200, 220), Wanted::SCORES).unwrap().scores;
    assert!(gap[WINDOW - 2].is_nan() && gap[0].is_finite() && gap[19].is_finite(), "{gap:?}");
}

#[test]
fn errors_of_networks_are_combined() {
    let raw = |combine| {
        let stream = faulty();
        let mut detector = autoencoder(combine, false);
        detector.raw_scores(stream.batch(0, stream.len()))
    };
    let (mean, weighted, maximum, vote) =
        (raw(Combine::Mean), raw(Combine::Weighted), raw(Combine::Maximum), raw(Combine::Vote));
    for at in 0..mean.len() {
        assert!(mean[at] <= maximum[at] && vote[at] <= maximum[at] && weighted[at] <= maximum[at]);
    }
    assert_ne!(bits(&mean), bits(&vote));
    assert_ne!(bits(&mean), bits(&weighted));
}

#[test]
fn too_few_rows_for_a_window_are_named() {
    let rows: Vec<f64> = (0..200).map(f64::from).collect();
    let batch = Batch { series: &[0; 200], times: &[0; 200], values: &rows };
    let train = |_: &autoencoder::history::History| panic!("nothing to train on");
    let fitted = autoencoder::fit::<FitError>(Rows::new(&rows, 1), batch, &all(), 64, Combine::Mean, true, train);
    assert_eq!(
        fitted.unwrap_err().0,
        "no entity has rows enough to learn windows of 64 from; one needs 427 rows for training"
    );
}

#[test]
fn a_damaged_model_is_refused_or_scores_all_the_same() {
    damaged(&fitted(&all()).to_model(), 10_000);
}

#[test]
fn damaged_networks_are_refused_or_score_all_the_same() {
    damaged(&autoencoder(Combine::Vote, false).to_model(), 6_000);
}

/// Opens a model with a few bytes changed at a time, and scores rows with those that open.
fn damaged(model: &[u8], rounds: usize) {
    let stream = faulty();
    let random = &mut Random(8);
    let (mut opened, mut refused) = (0, 0);
    for round in 0..rounds {
        let mut damaged = model.to_vec();
        for _ in 0..=round % 3 {
            // Every other time in the header, where all numbers stand that are no arrays.
            let header = 8 + u64::from_le_bytes(model[..8].try_into().unwrap()) as usize;
            let within = if round % 2 == 0 { damaged.len() } else { header };
            let at = (random.uniform() * within as f64) as usize;
            damaged[at] = match round % 4 {
                0 | 3 => damaged[at] ^ (1 << (random.uniform() * 8.0) as u8),
                1 => b"0123456789-.e"[(random.uniform() * 13.0) as usize],
                _ => (random.uniform() * 256.0) as u8,
            };
        }
        let Ok(mut detector) = crate::open(&damaged) else {
            refused += 1;
            continue;
        };
        opened += 1;
        if detector.describe().features as usize == FEATURES {
            let verdicts = detector.verdicts_of(stream.batch(390, 450), Wanted::CONTRIBUTIONS).unwrap();
            let scored = verdicts.scores.iter().filter(|score| !score.is_nan());
            let finite = scored.chain(&verdicts.contributions).all(|number| number.is_finite());
            assert!(finite, "{verdicts:?}");
        }
    }
    assert!(opened > 500 && refused > 500, "{opened} opened, {refused} refused");
}

#[test]
fn what_no_model_could_be_made_of_is_refused_at_once() {
    let rows: Vec<f64> = (0..400).map(f64::from).collect();
    let settings = |memory| Settings { threshold: Threshold::Contamination(0.1), memory, ..Settings::default() };
    let batch = Batch { series: &[0; 200], times: &[0; 200], values: &rows };
    let fit = |features, batch, memory| crate::zscore::fit(Rows::new(&rows, features), batch, &settings(memory));
    fit(2, batch, 1.0).unwrap();
    for memory in [0.5, f64::NAN, -3.0, 1e7] {
        assert!(fit(2, batch, memory).unwrap_err().0.contains("`memory` is"));
    }
    assert!(fit(4, batch, 1.0).unwrap_err().0.contains("wrong shape"));
    let wide = vec![0.0; MAX_FEATURES + 1];
    let error = crate::zscore::fit(Rows::new(&wide, wide.len()), batch, &settings(1.0)).unwrap_err();
    assert!(error.0.contains("4097 features"));
}
