//! LODA (Pevný 2016): a row's raw score is its mean surprise along sparse random projections, by a histogram of each.
#[derive(serde::Serialize, serde::Deserialize)]
pub struct Model {
    pub features: usize,
    pub ordinary: f64,  // the raw score that becomes 0
    pub threshold: f64, // the one that becomes 1
    pub projections: Vec<Projection>,
}

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Projection {
    weights: Vec<(usize, f64)>, // of a few features
    start: f64,                 // of the first bin; each is 1 wide
    surprises: Vec<f64>,        // of each bin; nothing was seen in the first and the last
}

impl Model {
    pub fn score(&self, row: &[f64]) -> f64 {
        let raw = mean(self.projections.iter().map(|one| one.surprise(row)));
        let score = (raw - self.ordinary) / (self.threshold - self.ordinary);
        if score < 0.0 { 0.0 } else { score } // NaN stays
    }
    /// By feature, how much more surprising than all projections in the mean those are that use it.
    pub fn explain(&self, row: &[f64]) -> Vec<f64> {
        let all = mean(self.projections.iter().map(|one| one.surprise(row)));
        let uses = |one: &Projection, feature| one.weights.iter().any(|(used, _)| *used == feature);
        let those = |feature| self.projections.iter().filter(move |one| uses(one, feature));
        let more = |feature| mean(those(feature).map(|one| one.surprise(row))) - all;
        (0..self.features).map(more).map(|more| if more.is_finite() { more } else { 0.0 }).collect()
    }
}

impl Projection {
    pub fn fit(rows: &[f64], features: usize, bins: usize, random: &mut fastrand::Rng) -> Option<Self> {
        let chosen = random.choose_multiple(0..features, (features as f64).sqrt().ceil() as usize);
        let weight = |feature| {
            let column = || rows.iter().copied().skip(feature).step_by(features);
            let middle = mean(column());
            let deviation = mean(column().map(|value| (value - middle) * (value - middle))).sqrt();
            let normal = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0; // nearly
            (feature, if deviation > 1e-9 * middle.abs() { normal / deviation } else { normal })
        };
        let mut weights: Vec<_> = chosen.into_iter().map(weight).collect();
        let places = rows.chunks_exact(features).map(|row| place(&weights, row)).filter(|place| place.is_finite());
        let places: Vec<f64> = places.collect();
        let low = places.iter().copied().reduce(f64::min)?;
        let high = places.iter().copied().fold(low, f64::max);
        let width = if high > low { (high - low) / bins as f64 } else { 1.0 };
        let mut counts = vec![0.5; bins + 3];
        places.iter().for_each(|place| counts[1 + ((place - low) / width) as usize] += 1.0);
        weights.iter_mut().for_each(|(_, weight)| *weight /= width);
        let surprises = counts.iter().map(|count| libm::log(places.len() as f64 / count)).collect();
        Some(Self { weights, start: low / width - 1.0, surprises })
    }
    /// Beyond the bins it grows with the logarithm of the distance; in the paper, all is alike there.
    fn surprise(&self, row: &[f64]) -> f64 {
        let (at, last) = (place(&self.weights, row) - self.start, self.surprises.len() - 1);
        let beyond = (1.0 - at).max(at - last as f64).clamp(0.0, f64::MAX);
        if at.is_nan() { at } else { self.surprises[last.min(at as usize)] + libm::log1p(beyond) }
    }
}

/// Where a row lies along a projection; NaN where a value is missing.
fn place(weights: &[(usize, f64)], row: &[f64]) -> f64 {
    weights.iter().map(|(feature, weight)| weight * row[*feature]).sum()
}

/// The mean of what is not missing; NaN where all is.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.filter(|value| !value.is_nan()).fold((0.0, 0.0), |(sum, n), x| (sum + x, n + 1.0));
    sum / count
}
