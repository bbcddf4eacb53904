//! LODA (Pevný 2016): sparse random projections, a histogram along each; the raw score is a row's mean surprise.
use exports::qualm::detector::{detection, detection::*, training, training::Parameter, training::Value};
wit_bindgen::generate!({ path: "../../wit", world: "trainable-plugin" });

/// A model: version, number of features, raw scores that become 0 and 1, projections. A projection is a weight for each
/// feature (most are 0), then where its histogram starts, then each bin's surprise: ln of how many times fuller the
/// fullest is. A bin is 1 wide; the first and the last are for what was never seen.
struct Loda(String, usize, f64, f64, Vec<Vec<f64>>);

fn read(model: &[u8]) -> Option<Loda> {
    let words: Vec<f64> = model.as_chunks().0.iter().map(|word| f64::from_le_bytes(*word)).collect();
    let hash = words.iter().fold(0, |hash: u64, word| (hash ^ word.to_bits()).wrapping_mul(0x100_0000_01b3));
    let (&[1.0, features, bins, low, high], rest) = words.split_first_chunk()? else { return None };
    let sound = features >= 1.0 && bins >= 3.0 && high > low && words.iter().all(|word| word.is_finite());
    let projections: Vec<_> = rest.chunks((1.0 + features + bins).max(1.0) as usize).map(<[f64]>::to_vec).collect();
    let whole = projections.len() as f64 * (1.0 + features + bins) * 8.0 == model.len() as f64 - 40.0;
    let loda = Loda(format!("{hash:016x}"), features as usize, low, high, projections);
    (sound && whole && !rest.is_empty()).then_some(loda)
}

/// Where a row lies along a projection; NaN where a feature that has a weight is missing.
fn place(weights: &[f64], row: &[f64]) -> f64 {
    weights.iter().zip(row).filter(|(weight, _)| **weight != 0.0).map(|(weight, value)| weight * value).sum()
}

/// Outside of the histogram it grows with the logarithm of the distance; in the paper all is alike there.
fn surprise(projection: &[f64], row: &[f64]) -> f64 {
    let (at, bins) = (place(projection, row) - projection[row.len()], &projection[row.len() + 1..]);
    let beyond = (1.0 - at).max(at - (bins.len() - 1) as f64).clamp(0.0, f64::MAX);
    if at.is_nan() { at } else { bins[(at as usize).min(bins.len() - 1)] + libm::log1p(beyond) }
}

/// The mean of what is not missing; NaN where all is.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.filter(|value| !value.is_nan()).fold((0.0, 0.0), |(sum, n), x| (sum + x, n + 1.0));
    sum / count
}

impl detection::Guest for Loda {
    type Detector = Self;
}

impl GuestDetector for Loda {
    fn open(model: Vec<u8>) -> Result<Detector, Error> {
        read(&model).map(Detector::new).ok_or_else(|| Error::BadModel("no whole model of loda, version 1".to_owned()))
    }
    fn describe(&self) -> Description {
        let scale = "mean surprise along the projections, 1 being the threshold found in training".to_owned();
        let (kind, version, features) = ("loda".to_owned(), self.0.clone(), self.1 as u32);
        Description { kind, version, features, warm_up: 0, scale }
    }
    fn observe(&self, batch: Observations, explain: bool) -> Result<Verdicts, Error> {
        let (Self(_, features, ordinary, threshold, projections), rows) = (self, batch.series.len());
        if batch.timestamps.len() != rows || batch.values.len() != rows * features {
            return Err(Error::BadShape(format!("not {rows} times and {rows} rows of {features} values")));
        }
        let (mut scores, mut contributions) = (vec![], vec![]);
        for row in batch.values.chunks_exact(*features) {
            let surprises: Vec<f64> = projections.iter().map(|projection| surprise(projection, row)).collect();
            let raw = mean(surprises.iter().copied());
            let score = (raw - ordinary) / (threshold - ordinary);
            scores.push(if score < 0.0 { 0.0 } else { score });
            contributions.extend((0..if explain { *features } else { 0 }).map(|feature| {
                let those = projections.iter().zip(&surprises).filter(|(weights, _)| weights[feature] != 0.0);
                let more = mean(those.map(|(_, surprise)| *surprise)) - raw;
                if score > 1.0 && more.is_finite() { more } else { 0.0 }
            }));
        }
        Ok(Verdicts { scores, contributions })
    }
    fn forget(&self, _: Vec<u32>) {}
    fn save(&self, _: Vec<u32>) -> Vec<u8> {
        vec![1]
    }
    fn restore(&self, state: Vec<u8>, _: Vec<Option<u32>>) -> Result<(), Error> {
        if state == [1] { Ok(()) } else { Err(Error::BadState("loda, version 1, keeps no state".to_owned())) }
    }
}

impl training::Guest for Loda {
    fn fit(rows: Observations, names: Vec<String>, set: Vec<Parameter>, seed: u64) -> Result<Vec<u8>, Error> {
        let (mut projections, mut bins, features) = (100, 50, names.len());
        for Parameter { name, value } in set {
            match (name.as_str(), value) {
                ("projections", Value::Number(number @ 1.0..=1e4)) => projections = number as usize,
                ("bins", Value::Number(number @ 1.0..=1e4)) => bins = number as usize,
                _ => return Err(Error::Internal(format!("`{name}`: there are `projections` and `bins`, 1 to 10000"))),
            }
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let mut model = vec![1.0, features as f64, (bins + 2) as f64, 0.0, 1.0];
        for _ in 0..projections {
            let mut weights = vec![0.0; features];
            for feature in random.choose_multiple(0..features, (features as f64).sqrt().ceil() as usize) {
                let column = || rows.values.iter().skip(feature).step_by(features).copied();
                let middle = mean(column());
                let deviation = mean(column().map(|value| (value - middle) * (value - middle))).sqrt();
                let normal = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0; // nearly
                weights[feature] = if deviation > 0.0 { normal / deviation } else { normal };
            }
            let places = rows.values.chunks_exact(features).map(|row| place(&weights, row));
            let places: Vec<f64> = places.filter(|place| place.is_finite()).collect();
            let Some(low) = places.iter().copied().reduce(f64::min) else { continue };
            let range = places.iter().fold(0.0, |range: f64, place| range.max(place - low)) * 1.000_001;
            let width = if range > 0.0 { range / bins as f64 } else { 1.0 };
            let mut counts = vec![0.5; bins + 2];
            places.iter().for_each(|place| counts[1 + ((place - low) / width) as usize] += 1.0);
            let fullest = counts.iter().copied().fold(0.0, f64::max);
            model.extend(weights.iter().map(|weight| weight / width).chain([low / width - 1.0]));
            model.extend(counts.iter().map(|count| libm::log(fullest / count)));
        }
        let model: Vec<u8> = model.iter().flat_map(|word: &f64| word.to_le_bytes()).collect();
        read(&model)
            .map(|_| model)
            .ok_or_else(|| Error::Internal("nothing can be learnt: each row lacks a value".to_owned()))
    }
    fn calibrate(mut model: Vec<u8>, ordinary: f64, threshold: f64) -> Result<Vec<u8>, Error> {
        read(&model).ok_or_else(|| Error::BadModel("no whole model of loda, version 1".to_owned()))?;
        model[24..40].copy_from_slice([ordinary.to_le_bytes(), threshold.to_le_bytes()].as_flattened());
        Ok(model)
    }
}

export!(Loda);
