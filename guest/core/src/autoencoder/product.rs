//! Products of a matrix and rows, in single precision.
//!
//! Eight inputs at a time are multiplied with their weights for sixteen outputs, and added to these outputs' sums: the
//! inputs stay in registers while the sums pass by. (Where the sums stay and the inputs pass by, natively it is as fast, but
//! Cranelift loads all weights of a loop before it multiplies any, and moves the sums to memory and back each time round.)
//! Each sum starts at its bias and takes the inputs in their order, so that it has the same bits whatever is computed beside
//! it.
//!
//! A multiplication and an addition of four numbers each are what the loop costs, on a plain x86-64 as in WebAssembly: three
//! ports of the processor make three of these in two cycles.

/// Outputs that stand side by side.
pub(super) const SIDE: usize = 16;

/// Inputs that are multiplied together. With sixteen outputs that is too much for the compiler to unroll before it makes
/// vectors, which it makes along the outputs then.
const INPUTS: usize = 8;

/// Sides that take all inputs before the next do: the weights for 64 inputs are 32 KB, which stay in the first cache from
/// row to row.
const PANEL: usize = 8;

type Side = [f32; SIDE];

/// The weights of eight inputs for the outputs of a side. They start with a cache line, so that no register's four numbers
/// lie in two: an allocator aligns to 8 bytes only, in WebAssembly.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Weights([Side; INPUTS]);

/// Adds to each sum the inputs times its weights, in the order of the inputs.
///
/// It is not inlined, since Cranelift has no registers left in a large function.
#[inline(never)]
fn accumulate(sums: &mut [Side], weights: &[Weights], inputs: &[f32]) {
    let (groups, rest) = inputs.as_chunks::<INPUTS>();
    let mut weights = weights.chunks_exact(sums.len());
    for (x, weights) in groups.iter().zip(weights.by_ref()) {
        add(sums, weights, *x);
    }
    if let Some(weights) = weights.next() {
        add(sums, weights, std::array::from_fn(|at| rest.get(at).copied().unwrap_or_default()));
    }
}

/// Adds to each sum eight inputs times its weights.
#[inline]
fn add(sums: &mut [Side], weights: &[Weights], [x0, x1, x2, x3, x4, x5, x6, x7]: [f32; INPUTS]) {
    for (sums, Weights([w0, w1, w2, w3, w4, w5, w6, w7])) in sums.iter_mut().zip(weights) {
        for lane in 0..SIDE {
            sums[lane] = sums[lane]
                + w0[lane] * x0
                + w1[lane] * x1
                + w2[lane] * x2
                + w3[lane] * x3
                + w4[lane] * x4
                + w5[lane] * x5
                + w6[lane] * x6
                + w7[lane] * x7;
        }
    }
}

/// Which rows a product reads or writes, in steps of a row.
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
#[derive(Debug, Clone)]
pub(super) struct Product {
    inputs: usize,
    outputs: usize,
    /// For each side the biases, filled up with zeros.
    biases: Vec<Side>,
    /// For each panel, for each eight inputs, for each side of the panel, the weights; filled up with zeros.
    weights: Vec<Weights>,
}

impl Product {
    /// Of a weight for each output and input, and a bias for each output.
    pub(super) fn new(
        inputs: usize,
        outputs: usize,
        weight: impl Fn(usize, usize) -> f32,
        bias: impl Fn(usize) -> f32,
    ) -> Self {
        let sides = outputs.div_ceil(SIDE);
        let side = |side: usize, number: &dyn Fn(usize) -> f32| -> Side {
            std::array::from_fn(|lane| Some(side * SIDE + lane).filter(|at| *at < outputs).map_or(0.0, number))
        };
        let of_input = |at: usize, input: usize| {
            if input < inputs { side(at, &|output| weight(output, input)) } else { [0.0; SIDE] }
        };
        let mut weights = Vec::with_capacity(sides * inputs.div_ceil(INPUTS));
        for first in (0..sides).step_by(PANEL) {
            for group in (0..inputs).step_by(INPUTS) {
                for at in first..sides.min(first + PANEL) {
                    weights.push(Weights(std::array::from_fn(|input| of_input(at, group + input))));
                }
            }
        }
        Self { inputs, outputs, biases: (0..sides).map(|at| side(at, &bias)).collect(), weights }
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
        let mut first = 0;
        for (biases, weights) in self.biases.chunks(PANEL).zip(self.panels()) {
            let mut sums = [[0.0; SIDE]; PANEL];
            let sums = &mut sums[..biases.len()];
            for at in 0..count {
                sums.copy_from_slice(biases);
                accumulate(sums, weights, &input[from.row(at)..][..self.inputs]);
                let row = &mut output[to.row(at)..][..self.outputs];
                for (output, sum) in row[first..].iter_mut().zip(sums.as_flattened()) {
                    *output = finish(*sum);
                }
            }
            first += PANEL * SIDE;
        }
    }

    /// Adds the products of a row to sums, without the biases; there are whole sides of outputs.
    pub(super) fn add(&self, input: &[f32], sums: &mut [f32]) {
        let sums = sums.as_chunks_mut().0;
        for (sums, weights) in sums.chunks_mut(PANEL).zip(self.panels()) {
            accumulate(sums, weights, &input[..self.inputs]);
        }
    }

    /// The weights of each panel.
    fn panels(&self) -> impl Iterator<Item = &[Weights]> {
        let groups = self.inputs.div_ceil(INPUTS);
        (0..self.biases.len()).step_by(PANEL).map(move |first| {
            let sides = PANEL.min(self.biases.len() - first);
            &self.weights[first * groups..][..sides * groups]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_matrix_product() {
        for outputs in [1, 8, 9, 20, 24, 31, 32, 33, 38, 48, 56, 64, 70] {
            for (inputs, count) in [(0, 1), (1, 4), (7, 3), (8, 1), (21, 2)] {
                let weight = |output: usize, input: usize| (output * 10 + input) as f32 - 3.5;
                let input: Vec<f32> = (0..count * inputs + 5).map(|at| libm::sinf(at as f32)).collect();
                let mut output = vec![f32::NAN; 1 + count * (outputs + 2)];
                let product = Product::new(inputs, outputs, weight, |output| output as f32);
                let (from, to) = (Rows::of(inputs), Rows { start: 1, step: outputs + 2 });
                product.multiply(count, (&input, from), (&mut output, to), |sum| 2.0 * sum);
                assert!(output[0].is_nan());
                for (row, numbers) in output[1..].chunks(outputs + 2).enumerate() {
                    for (at, number) in numbers[..outputs].iter().enumerate() {
                        let products = (0..inputs).map(|k| weight(at, k) * input[row * inputs + k]);
                        let sum = products.fold(at as f32, |sum, product| sum + product);
                        assert_eq!(number.to_bits(), (2.0 * sum).to_bits(), "{row}, {at} of {outputs}");
                    }
                    assert!(numbers[outputs..].iter().all(|number| number.is_nan()));
                }
            }
        }
    }
}
