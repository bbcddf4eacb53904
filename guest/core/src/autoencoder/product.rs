//! Products of a matrix and rows, in single precision.
//!
//! Eight outputs stand side by side: each input is multiplied with eight weights, and the sums of four rows by eight
//! outputs stay in registers, on a plain x86-64 as in WebAssembly. Each sum starts at its bias and takes the inputs in
//! their order, so that it has the same bits whatever is computed beside it.

/// Outputs that stand side by side.
pub(super) const WIDTH: usize = 8;

/// Rows that are multiplied at once.
const ROWS: usize = 4;

type Block = [f32; WIDTH];

/// Which rows a product reads or writes: the first number of each, in steps of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    /// Where the first row starts.
    pub(super) start: usize,
    /// From the start of a row to that of the next.
    pub(super) step: usize,
}

impl Rows {
    /// Rows that stand one after another.
    pub(super) fn of(width: usize) -> Self {
        Self { start: 0, step: width }
    }

    fn row(self, at: usize) -> usize {
        self.start + at * self.step
    }
}

/// A matrix with biases: output = bias + matrix · input.
#[derive(Debug)]
pub(super) struct Product {
    inputs: usize,
    outputs: usize,
    /// For each eight outputs their biases; the last are filled up with zeros.
    biases: Vec<Block>,
    /// For each eight outputs, for each input, the eight weights.
    weights: Vec<Block>,
}

impl Product {
    /// Of a weight for each output and input, and a bias for each output.
    pub(super) fn new(
        inputs: usize,
        outputs: usize,
        weight: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let blocks = outputs.div_ceil(WIDTH);
        let block = |block: usize, number: &dyn Fn(usize) -> f32| -> Block {
            std::array::from_fn(|lane| Some(block * WIDTH + lane).filter(|at| *at < outputs).map_or(0.0, number))
        };
        let biases = (0..blocks).map(|at| block(at, &bias)).collect();
        let weights = (0..blocks)
            .flat_map(|at| (0..inputs).map(move |input| (at, input)))
            .map(|(at, input)| block(at, &|output| weight(output, input)))
            .collect();
        Self { inputs, outputs, biases, weights }
    }

    /// Numbers of an input row.
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Numbers of an output row.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Multiplies so many rows; `finish` makes the output of a sum.
    pub(super) fn multiply(
        &self,
        count: usize,
        (input, from): (&[f32], Rows),
        (output, to): (&mut [f32], Rows),
        finish: impl Fn(f32) -> f32,
    ) {
        for (at, biases) in self.biases.iter().enumerate() {
            let weights = &self.weights[at * self.inputs..][..self.inputs];
            let first = at * WIDTH;
            let width = WIDTH.min(self.outputs - first);
            let mut put = |row: usize, sums: Block| {
                let sums = sums.map(&finish);
                let output = &mut output[to.row(row) + first..][..width];
                match output.as_chunks_mut::<WIDTH>().0 {
                    [whole] => *whole = sums,
                    _ => output.copy_from_slice(&sums[..width]),
                }
            };
            let row = |row: usize| &input[from.row(row)..][..self.inputs];
            let mut done = 0;
            while done + ROWS <= count {
                let sums = four(weights, biases, [row(done), row(done + 1), row(done + 2), row(done + 3)]);
                for (lane, sums) in sums.into_iter().enumerate() {
                    put(done + lane, sums);
                }
                done += ROWS;
            }
            for at in done..count {
                put(at, one(weights, biases, row(at)));
            }
        }
    }
}

/// Eight outputs of four rows.
fn four(weights: &[Block], biases: &Block, [a, b, c, d]: [&[f32]; ROWS]) -> [Block; ROWS] {
    let mut sums = [*biases; ROWS];
    for ((((weights, a), b), c), d) in weights.iter().zip(a).zip(b).zip(c).zip(d) {
        for (sums, x) in sums.iter_mut().zip([a, b, c, d]) {
            add(sums, weights, *x);
        }
    }
    sums
}

/// Eight outputs of one row.
fn one(weights: &[Block], biases: &Block, row: &[f32]) -> Block {
    let mut sums = *biases;
    for (weights, x) in weights.iter().zip(row) {
        add(&mut sums, weights, *x);
    }
    sums
}

/// Adds to each sum its weight times `x`.
#[inline(always)]
pub(super) fn add(sums: &mut Block, weights: &Block, x: f32) {
    for (sum, weight) in sums.iter_mut().zip(weights) {
        *sum += weight * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_matrix_product() {
        for (inputs, outputs, count) in [(0, 1, 1), (1, 8, 4), (3, 9, 5), (7, 20, 11)] {
            let weight = |output: usize, input: usize| (output * 10 + input) as f32 - 3.5;
            let input: Vec<f32> = (0..count * inputs + 5).map(|at| (at as f32).sin()).collect();
            let mut output = vec![f32::NAN; 1 + count * (outputs + 2)];
            let product = Product::new(inputs, outputs, weight, |output| output as f32);
            let to = Rows { start: 1, step: outputs + 2 };
            let from = Rows { start: 0, step: inputs };
            product.multiply(count, (&input, from), (&mut output, to), |sum| 2.0 * sum);
            assert!(output[0].is_nan());
            for (row, numbers) in output[1..].chunks(outputs + 2).enumerate() {
                for (at, number) in numbers[..outputs].iter().enumerate() {
                    let products = (0..inputs).map(|k| weight(at, k) * input[row * inputs + k]);
                    let sum = products.fold(at as f32, |sum, product| sum + product);
                    assert_eq!(number.to_bits(), (2.0 * sum).to_bits(), "{row}, {at}");
                }
                assert!(numbers[outputs..].iter().all(|number| number.is_nan()));
            }
        }
    }
}
