//! Rows for a detector: of some series, one after the other, ten seconds a round.

use qualm_pipeline::Rows;

/// Rounds before the values come again, at later times.
const ROUNDS: usize = 64;

const STEP: i64 = 10_000_000_000;

/// Batches without end.
#[derive(Debug)]
pub(crate) struct Batches {
    batches: Vec<Rows>,
    at: usize,
}

impl Batches {
    /// Batches of so many rows, of so many series.
    pub(crate) fn new(series: usize, rows: usize) -> Self {
        let mut batches = vec![Rows::default()];
        let mut random = 1_u64;
        for row in 0..series * ROUNDS {
            // Knuth's MMIX generator; four of its numbers add up to something like a bell.
            let mut draw = || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 40) as f64 / f64::from(1 << 24)
            };
            let value = 50.0 + 10.0 * (draw() + draw() + draw() + draw());
            if batches.last().is_some_and(|batch| batch.len() == rows) {
                batches.push(Rows::default());
            }
            if let Some(batch) = batches.last_mut() {
                batch.add((row % series) as u32, (row / series) as i64 * STEP, value);
            }
        }
        Self { batches, at: 0 }
    }

    /// The next batch. Time goes on: a look at a batch that was seen before makes its rows later ones.
    pub(crate) fn batch(&mut self) -> &Rows {
        self.at = (self.at + 1) % self.batches.len();
        let batch = &mut self.batches[self.at];
        for time in &mut batch.times {
            *time += ROUNDS as i64 * STEP;
        }
        batch
    }
}
