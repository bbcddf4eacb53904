//! Native and WebAssembly give bit-identical scores, and so does a detector that was saved and restored on the way.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use qualm_contract::Verdicts;
use qualm_contract::{Batch, Detector, Wanted};
use qualm_core::autoencoder::architecture::{Architecture, Network, Order};
use qualm_core::autoencoder::history::History;
use qualm_core::autoencoder::weights::{Tensor, Weights};
use qualm_core::autoencoder::{self, Combine};
use qualm_core::streaming::{Parameters, Prior, Zone};
use qualm_core::trained::calibrate::Threshold;
use qualm_core::trained::{FitError, Rows as TrainingRows, Settings};
use qualm_offline::train::{grid, kinds};
use qualm_pipeline::Rows;
use qualm_sandbox::{DetectorSpec, Guest, Limits, Sandbox};

const SERIES: u32 = 40;
const BATCHES: u64 = 1200;

/// A long mixed trace: series that drift, jump, stand still, count, burst, miss values, and clocks that stop and jump.
struct Trace(u64);

impl Trace {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn batch(&mut self, batch: u64) -> Rows {
        let mut rows = Rows::default();
        for _ in 0..=(self.uniform() * 300.0) as usize {
            let series = (self.uniform() * f64::from(SERIES)) as u32;
            let step = batch as f64;
            let value = match series % 10 {
                0 => self.uniform(),
                1 => (step * 0.01).sin() + 0.1 * self.uniform(),
                2 => step * 17.0,
                3 => 5.0,
                4 => f64::from(self.uniform() < 0.01),
                5 => 1.0 / (1e-9 + self.uniform()),
                6 if self.uniform() < 0.2 => f64::NAN,
                6 => 1e300 * (self.uniform() - 0.5),
                7 if batch > BATCHES / 2 => 1000.0 + self.uniform(),
                7 => self.uniform(),
                8 => (self.uniform() * 4.0).floor(),
                _ => 1e-300 * self.uniform(),
            };
            let jump = match (self.uniform() * 2000.0) as u32 {
                0 => i64::MAX,
                1 => i64::MIN,
                2 => 365 * 86_400 * 1_000_000_000,
                3 => -3_600_000_000_000,
                _ => 0,
            };
            rows.add(series, (batch as i64 * 10_000_000_000).saturating_add(jump), value);
        }
        rows
    }
}

/// UTC, and a zone whose clocks are put forward and back every few hours of the first month: rows meet all of it.
fn zones() -> [Zone; 2] {
    let offsets = (0..200).map(|at| (at * 13_500, [0, 3600, -19_800, 50_400][at as usize % 4])).collect();
    [Zone::UTC, Zone::new("Some/Where", offsets).unwrap()]
}

fn start(model: &[u8]) -> Guest {
    let limits = Limits { deadline: Duration::from_mins(1), ..Limits::default() };
    Guest::start(&DetectorSpec::new(&Sandbox::new(None), qualm_components::DETECTOR, model.to_vec(), limits).unwrap())
        .unwrap()
}

fn native(detector: &mut dyn Detector, rows: &Rows) -> Vec<u64> {
    let batch = rows.batch();
    let verdicts = detector.verdicts_of(batch, Wanted { contributions: true, bands: true }).unwrap();
    let reasons = verdicts.reasons.iter().map(|reason| *reason as u64);
    let bands = verdicts.bands.iter().flat_map(|band| [band.expected, band.lower, band.upper]);
    bits(&verdicts.scores, &verdicts.contributions, reasons, bands)
}

fn component(guest: &mut Guest, rows: &Rows) -> Vec<u64> {
    let mut verdicts = Verdicts::default();
    let mut rows = rows.clone();
    rows.bands = true;
    guest.score_batch(rows.batch(), Wanted { contributions: true, ..rows.wanted() }, &mut verdicts).unwrap();
    let reasons = verdicts.reasons.iter().map(|reason| *reason as u64);
    let bands = verdicts.bands.iter().flat_map(|band| [band.expected, band.lower, band.upper]);
    bits(&verdicts.scores, &verdicts.contributions, reasons, bands)
}

/// All that is said of a batch, the scores first.
fn bits(
    scores: &[f64],
    contributions: &[f64],
    reasons: impl Iterator<Item = u64>,
    bands: impl Iterator<Item = f64>,
) -> Vec<u64> {
    // Which NaN says "not scored" does not matter, nor whether a detector that knows no bands says so of each row.
    let bands = bands.filter(|number| !number.is_nan());
    let numbers = scores.iter().chain(contributions).copied().chain(bands);
    numbers.map(|number| if number.is_nan() { u64::MAX } else { number.to_bits() }).chain(reasons).collect()
}

#[test]
fn native_component_and_restored_scores_are_the_same_to_the_bit() {
    for zone in zones() {
        native_component_and_restored(&Parameters { min_samples: 20, zone, ..Parameters::default() }.to_model());
    }
}

fn native_component_and_restored(model: &[u8]) {
    let mut detector = qualm_core::open(model).unwrap();
    let mut guest = start(model);
    let mut restored = qualm_core::open(model).unwrap();
    let everyone: Vec<u32> = (0..SERIES).collect();
    let all: Vec<Option<u32>> = everyone.iter().copied().map(Some).collect();
    let mut trace = Trace(1);
    let (mut scored, mut anomalous) = (0, 0);
    for batch in 0..BATCHES {
        let rows = trace.batch(batch);
        let expected = score_alike(model, batch, &rows, &mut *detector, &mut guest, &mut restored);
        if batch % 100 == 99 {
            let state = detector.save_series(&everyone).unwrap();
            guest = start(model);
            guest.restore_series(&state, &all).unwrap();
            let gone = [batch as u32 % SERIES];
            detector.forget_series(&gone).unwrap();
            restored.forget_series(&gone).unwrap();
            guest.forget_series(&gone).unwrap();
        }
        let scores = expected[..rows.len()].iter().filter(|bits| **bits != u64::MAX).map(|bits| f64::from_bits(*bits));
        scored += scores.clone().count();
        anomalous += scores.filter(|score| *score > 1.0).count();
    }
    assert!(scored > 100_000 && anomalous > 30, "the trace tests little: {scored} scored, {anomalous} anomalous");
}

/// Scores a batch by all three, which agree; the restored one goes on from what it or the component saved, now and then.
fn score_alike(
    model: &[u8],
    batch: u64,
    rows: &Rows,
    detector: &mut dyn Detector,
    guest: &mut Guest,
    restored: &mut Box<dyn Detector>,
) -> Vec<u64> {
    let expected = native(detector, rows);
    assert_eq!(component(guest, rows), expected, "the component differs in batch {batch}");
    assert_eq!(native(&mut **restored, rows), expected, "the restored detector differs in batch {batch}");
    if batch.is_multiple_of(7) {
        let everyone: Vec<u32> = (0..SERIES).collect();
        let all: Vec<Option<u32>> = everyone.iter().copied().map(Some).collect();
        let state = if batch.is_multiple_of(2) {
            restored.save_series(&everyone).unwrap()
        } else {
            guest.save_series(&everyone).unwrap()
        };
        *restored = qualm_core::open(model).unwrap();
        restored.restore_series(&state, &all).unwrap();
    }
    expected
}

/// Series that come and go, and their siblings: native and component score them alike.
#[test]
fn siblings_are_the_same_to_the_bit() {
    let model = &Parameters { min_samples: 20, prior: Prior::Siblings, ..Parameters::default() }.to_model();
    let (mut detector, mut guest) = (qualm_core::open(model).unwrap(), start(model));
    let mut restored = qualm_core::open(model).unwrap();
    let everyone: Vec<u32> = (0..SERIES).collect();
    let groups: Vec<u64> = everyone.iter().map(|series| u64::from(series % 10) << 40).collect();
    let mut trace = Trace(3);
    let mut scored = [0; 2];
    let mut deaf = qualm_core::open(model).unwrap();
    for batch in 0..400 {
        let rows = trace.batch(batch);
        guest.relate_series(&everyone, &groups).unwrap();
        for detector in [&mut detector, &mut restored] {
            detector.relate_series(&everyone, &groups);
        }
        let expected = score_alike(model, batch, &rows, &mut *detector, &mut guest, &mut restored);
        let gone = [batch as u32 % SERIES, (batch * 7) as u32 % SERIES];
        for detector in [&mut detector, &mut restored, &mut deaf] {
            detector.forget_series(&gone).unwrap();
        }
        guest.forget_series(&gone).unwrap();
        for (scored, alone) in scored.iter_mut().zip([expected, native(&mut *deaf, &rows)]) {
            *scored += alone[..rows.len()].iter().filter(|bits| **bits != u64::MAX).count();
        }
    }
    assert!(scored[0] > scored[1] + 5000, "siblings change little: {scored:?}");
}

/// Weeks of a daily swing, an hourly job and a counter, every five minutes: all that time explains is in force.
#[test]
fn seasons_and_counters_are_the_same_to_the_bit() {
    for zone in zones() {
        seasons_and_counters(&Parameters { zone, ..Parameters::default() }.to_model());
    }
}

fn seasons_and_counters(model: &[u8]) {
    let (mut detector, mut guest) = (qualm_core::open(model).unwrap(), start(model));
    let mut trace = Trace(2);
    let (mut count, mut anomalous) = (0.0, 0);
    for day in 0..30_i64 {
        let mut rows = Rows::default();
        for at in day * 288..(day + 1) * 288 {
            let odd = day > 21 && at % 288 == 100;
            let phase = at as f64 * std::f64::consts::TAU / 288.0;
            count += (1000.0 * (2.0 + phase.sin()) * if odd { 20.0 } else { 1.0 + trace.uniform() }).floor();
            let swing = 10.0 * phase.sin() * if odd { -1.0 } else { 1.0 } + 0.3 * trace.uniform();
            let job = trace.uniform() + if (at % 12 == 0) == odd { 0.0 } else { 30.0 };
            for (series, value) in [swing, job, count].into_iter().enumerate() {
                rows.add(series as u32, at * 300_000_000_000, value);
            }
        }
        let expected = native(&mut *detector, &rows);
        assert_eq!(component(&mut guest, &rows), expected, "day {day}");
        if day % 5 == 4 {
            let state = guest.save_series(&[0, 1, 2]).unwrap();
            guest = start(model);
            guest.restore_series(&state, &[Some(0), Some(1), Some(2)]).unwrap();
        }
        anomalous += expected[..rows.len()].iter().filter(|&&bits| f64::from_bits(bits) > 1.0).count();
    }
    assert!(anomalous >= 5, "{anomalous}");
}

#[test]
fn state_that_was_tampered_with_is_refused_or_harmless() {
    let model = Parameters { min_samples: 5, ..Parameters::default() }.to_model();
    let mut detector = qualm_core::open(&model).unwrap();
    let mut trace = Trace(2);
    for batch in 0..50 {
        native(&mut *detector, &trace.batch(batch));
    }
    let whole = detector.save_series(&[0, 1, 2]).unwrap();
    let rows = trace.batch(50);
    for at in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut state = whole.clone();
            state[at] ^= bit;
            let mut detector = qualm_core::open(&model).unwrap();
            if detector.restore_series(&state, &[Some(0), Some(1), Some(2)]).is_ok() {
                let batch = rows.batch();
                let scores = detector.verdicts_of(batch, Wanted::SCORES).unwrap().scores;
                assert!(scores.iter().all(|score| score.is_nan() || (*score >= 0.0 && score.is_finite())), "byte {at}");
            }
        }
    }
    for cut in 0..whole.len() {
        let mut fresh = qualm_core::open(&model).unwrap();
        assert!(fresh.restore_series(&whole[..cut], &[Some(0), Some(1), Some(2)]).is_err(), "cut to {cut} bytes");
    }
    assert!(detector.restore_series(&whole, &[Some(0)]).is_err());
}

#[test]
fn restored_series_may_have_other_numbers() {
    let model = Parameters { min_samples: 5, ..Parameters::default() }.to_model();
    let mut detector = qualm_core::open(&model).unwrap();
    let mut trace = Trace(3);
    for batch in 0..50 {
        native(&mut *detector, &trace.batch(batch));
    }
    let mut moved = qualm_core::open(&model).unwrap();
    moved.restore_series(&detector.save_series(&[4, 0, 7]).unwrap(), &[Some(1), None, Some(2)]).unwrap();
    let score = |detector: &mut dyn Detector, series: u32| {
        let mut rows = Rows::default();
        rows.add(series, 510_000_000_000, 12.5);
        native(detector, &rows)
    };
    for (before, after) in [(4, 1), (7, 2)] {
        assert_eq!(score(&mut *moved, after), score(&mut *detector, before));
    }
    assert_eq!(score(&mut *moved, 0)[0], u64::MAX, "who was left out has no past");
}

/// Rows of five features that mostly go together, some of them missing, some far out.
fn vectors(seed: u64, count: u64) -> Rows {
    let mut rows = Rows::new(FEATURES);
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    for row in 0..count {
        let common = (row as f64 / 50.0).sin() * 10.0;
        let mut values = [0.0; FEATURES];
        for (at, value) in values.iter_mut().enumerate() {
            *value = common * (at + 1) as f64 + random() * 3.0 + 100.0 * at as f64;
        }
        if random() > 0.45 {
            values[(row % FEATURES as u64) as usize] = f64::NAN;
        }
        if random() > 0.48 {
            values[(row % 3) as usize] *= 1.0 + random() * 20.0;
        }
        rows.add_vector((row % 7) as u32, row as i64 * 1_000_000_000, &values);
    }
    rows
}

const FEATURES: usize = 5;

/// A model of each kind that is trained, with and without a memory of scores; and networks with weights by chance.
fn trained_models() -> Vec<(String, Vec<u8>)> {
    let train = vectors(1, 3000);
    let rows = TrainingRows::new(&train.values, FEATURES);
    let validation = vectors(2, 1500);
    let validation = Batch { series: &validation.series, times: &validation.times, values: &validation.values };
    let threshold = Threshold::FalseAlarmRate(0.05);
    let mut models = Vec::new();
    for kind in kinds::KINDS {
        for memory in [1, 10] {
            let choice = grid::Choice([("memory".to_owned(), memory.into())].into());
            let trained = kinds::fit(kind, &choice, rows, validation, threshold, 1).unwrap();
            models.push((format!("{kind}, memory {memory}"), trained.to_model()));
        }
    }
    let settings = Settings { clip: Some(10.0), baseline: Some(9.0), memory: 10.0, threshold, ..Settings::default() };
    let networks = |history: &History| {
        let weights = |network| {
            let (features, window, order) = (history.features, 16, Order::Reversed);
            let architecture =
                Architecture { network, features, window, hidden: 13, layers: 2, bottleneck: 3, kernel: 5, order };
            let shapes: BTreeMap<String, Vec<usize>> = architecture.tensors().into_iter().collect();
            let mut state = 7_u64;
            let tensor = |name: &str| {
                let shape = shapes[name].clone();
                let mut weight = || {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 40) as f32 / 2_f32.powi(23) - 1.0
                };
                let numbers = (0..shape.iter().product()).map(|_| weight()).collect();
                Ok(Tensor { shape, numbers })
            };
            Weights::new(architecture, tensor).unwrap()
        };
        Ok::<_, FitError>(Network::ALL.map(weights).to_vec())
    };
    let trained = autoencoder::fit(rows, validation, &settings, 16, Combine::Mean, true, networks).unwrap();
    models.push(("autoencoder".to_owned(), trained.to_model()));
    models
}

#[test]
fn trained_detectors_are_the_same_to_the_bit_in_the_component() {
    for (name, model) in trained_models() {
        let (mut detector, mut guest) = (qualm_core::open(&model).unwrap(), start(&model));
        let everyone: Vec<u32> = (0..7).collect();
        let all: Vec<Option<u32>> = everyone.iter().copied().map(Some).collect();
        let mut anomalous = 0;
        for batch in 0..20 {
            let rows = vectors(100 + batch, 1 + batch * 13);
            let expected = native(&mut *detector, &rows);
            assert_eq!(component(&mut guest, &rows), expected, "{name}, batch {batch}");
            anomalous += expected[..rows.len()].iter().filter(|bits| f64::from_bits(**bits) > 0.5).count();
            if batch % 5 == 4 {
                let state = detector.save_series(&everyone).unwrap();
                assert_eq!(guest.save_series(&everyone).unwrap(), state, "{name}");
                guest = start(&model);
                guest.restore_series(&state, &all).unwrap();
            }
        }
        assert!(anomalous > 5, "{name}: {anomalous} rows of incidents test little");
    }
}
