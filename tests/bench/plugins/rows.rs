//! Rows to be scored.

use qualm_pipeline::Rows;

/// How many series single values are of.
pub(crate) const SERIES: usize = 1000;

/// Between two rows of a series.
pub(crate) const STEP: i64 = 10_000_000_000;

/// Numbers that look random: Knuth's MMIX generator.
struct Random(u64);

impl Random {
    /// Between 0 and 4, something like a bell.
    fn bell(&mut self) -> f64 {
        (0..4).map(|_| self.even()).sum()
    }

    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 24)
    }
}

/// Vectors of 12 values that rise and fall together.
pub(crate) struct Vectors(pub(crate) Rows);

impl Vectors {
    pub(crate) fn new(rows: usize) -> Self {
        let (mut all, mut random) = (Rows::new(12), Random(1));
        for row in 0..rows {
            let load = random.bell();
            let values: Vec<f64> =
                (0..12).map(|feature| (load + 0.1 * random.bell()) * f64::from(feature + 1)).collect();
            all.add_vector((row % 100) as u32, (row / 100) as i64 * STEP, &values);
        }
        Self(all)
    }

    /// As batches of so many.
    pub(crate) fn batches(&self, rows: usize) -> Vec<Rows> {
        let features = self.0.features();
        let values = self.0.values.chunks(rows * features);
        let heads = self.0.series.chunks(rows).zip(self.0.times.chunks(rows));
        let batch = |((series, times), values): ((&[u32], &[i64]), &[f64])| {
            let mut batch = Rows::new(features);
            for ((series, time), values) in series.iter().zip(times).zip(values.chunks(features)) {
                batch.add_vector(*series, *time, values);
            }
            batch
        };
        heads.zip(values).map(batch).collect()
    }
}

/// Single values of a thousand series, round after round, without end.
pub(crate) struct Values {
    random: Random,
    row: usize,
    time: i64,
}

impl Values {
    pub(crate) fn new() -> Self {
        Self { random: Random(1), row: 0, time: 0 }
    }

    /// The next batch, of so many rows; rounds are `step` apart.
    pub(crate) fn batch(&mut self, rows: usize, step: i64) -> Rows {
        let mut batch = Rows::default();
        for _ in 0..rows {
            let (series, time, value) = self.next(step);
            batch.add(series as u32, time, value);
        }
        batch
    }

    /// The next row: its series, time and value.
    pub(crate) fn next(&mut self, step: i64) -> (usize, i64, f64) {
        let series = self.row % SERIES;
        self.row += 1;
        if series == 0 {
            self.time += step;
        }
        (series, self.time, 50.0 + 10.0 * self.random.bell())
    }
}
