//! Products of a matrix and rows, in single precision.
//!
//! Up to 32 outputs stand side by side: each input is multiplied with as many weights, and their sums stay in eight
//! registers of four numbers, on a plain x86-64 as in WebAssembly. Each sum starts at its bias and takes the inputs in
//! their order, so that it has the same bits whatever is computed beside it.

/// Numbers of a side: two registers.
pub(super) const SIDE: usize = 8;

/// Eight outputs, or the weights of an input for them.
type Side = [f32; SIDE];

/// Sides that are summed up together.
type Sides<const N: usize> = [Side; N];

/// Inputs that the loop takes at once: the sandbox checks its deadline each time round, and its compiler then keeps no
/// sum in a register.
const INPUTS: usize = 4;

/// Adds to each sum the inputs times its weights, in the order of the inputs.
///
/// It is not inlined, since Cranelift has too few registers left for the sums in a large function.
#[inline(never)]
fn accumulate<const N: usize>(sums: &mut Sides<N>, weights: &[Sides<N>], inputs: &[f32]) {
    let mut now = *sums;
    let (many, few) = weights.as_chunks::<INPUTS>();
    let (many_inputs, few_inputs) = inputs.as_chunks::<INPUTS>();
    for ([a, b, c, d], x) in many.iter().zip(many_inputs) {
        add(&mut now, a, x[0]);
        add(&mut now, b, x[1]);
        add(&mut now, c, x[2]);
        add(&mut now, d, x[3]);
    }
    for (weights, x) in few.iter().zip(few_inputs) {
        add(&mut now, weights, *x);
    }
    *sums = now;
}

#[inline(always)]
fn add<const N: usize>(sums: &mut Sides<N>, weights: &Sides<N>, x: f32) {
    for (sums, weights) in sums.iter_mut().zip(weights) {
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum += weight * x;
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

/// Outputs, so many sides at once.
#[derive(Debug)]
struct Panels<const N: usize> {
    /// For each panel the biases; the last one's are filled up with zeros.
    biases: Vec<Sides<N>>,
    /// For each panel, for each input, the weights.
    weights: Vec<Sides<N>>,
}

impl<const N: usize> Panels<N> {
    fn multiply(
        &self,
        count: usize,
        (input, from, inputs): (&[f32], Rows, usize),
        (output, to, outputs): (&mut [f32], Rows, usize),
        finish: impl Fn(f32) -> f32,
    ) {
        for (panel, biases) in self.biases.iter().enumerate() {
            let weights = &self.weights[panel * inputs..][..inputs];
            for at in 0..count {
                let mut sums = *biases;
                accumulate(&mut sums, weights, &input[from.row(at)..][..inputs]);
                let row = &mut output[to.row(at)..][..outputs];
                for (output, sum) in row[panel * N * SIDE..].iter_mut().zip(sums.as_flattened()) {
                    *output = finish(*sum);
                }
            }
        }
    }
}

impl<const N: usize> Panels<N> {
    /// Adds to the sums that the panels are for, and returns the sums after these.
    fn add<'a>(&self, input: &[f32], sums: &'a mut [Side]) -> &'a mut [Side] {
        let (own, rest) = sums.split_at_mut(self.biases.len() * N);
        for (panel, sums) in own.as_chunks_mut::<N>().0.iter_mut().enumerate() {
            accumulate(sums, &self.weights[panel * input.len()..][..input.len()], input);
        }
        rest
    }
}

/// A matrix with biases: output = bias + matrix · input.
#[derive(Debug)]
pub(super) struct Product {
    inputs: usize,
    outputs: usize,
    wide: Panels<4>,
    /// What is left of the outputs: at most a panel of each, and no narrow one where there are others, since two registers
    /// of sums wait for each other.
    three: Panels<3>,
    two: Panels<2>,
    one: Panels<1>,
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
        let [wide, three, two, one] = match (sides / 4, sides % 4) {
            (0, 1) => [0, 0, 0, 1],
            (wide, 1) => [wide - 1, 1, 1, 0],
            (wide, 2) => [wide, 0, 1, 0],
            (wide, rest) => [wide, rest / 3, 0, 0],
        };
        let mut filler = Filler { inputs, outputs, first: 0, weight, bias };
        Self {
            inputs,
            outputs,
            wide: filler.panels(wide),
            three: filler.panels(three),
            two: filler.panels(two),
            one: filler.panels(one),
        }
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
        let from = (input, from, self.inputs);
        let mut first = 0;
        let mut rest = |panels: usize, sides: usize| {
            let at = Rows { start: to.start + first, step: to.step };
            let width = self.outputs.saturating_sub(first);
            first += panels * sides * SIDE;
            (at, width)
        };
        let (at, width) = rest(self.wide.biases.len(), 4);
        self.wide.multiply(count, from, (output, at, width), &finish);
        let (at, width) = rest(self.three.biases.len(), 3);
        self.three.multiply(count, from, (output, at, width), &finish);
        let (at, width) = rest(self.two.biases.len(), 2);
        self.two.multiply(count, from, (output, at, width), &finish);
        let (at, width) = rest(self.one.biases.len(), 1);
        self.one.multiply(count, from, (output, at, width), &finish);
    }

    /// Adds the products of a row to sums, without the biases; there are whole sides of outputs.
    pub(super) fn add(&self, input: &[f32], sums: &mut [f32]) {
        let sums = sums.as_chunks_mut().0;
        let sums = self.wide.add(input, sums);
        let sums = self.three.add(input, sums);
        let sums = self.two.add(input, sums);
        self.one.add(input, sums);
    }
}

/// Takes weights and biases of outputs, panel by panel.
struct Filler<W, B> {
    inputs: usize,
    outputs: usize,
    /// The next panel's first output.
    first: usize,
    weight: W,
    bias: B,
}

impl<W: Fn(usize, usize) -> f32, B: Fn(usize) -> f32> Filler<W, B> {
    fn panels<const N: usize>(&mut self, count: usize) -> Panels<N> {
        let mut panels = Panels { biases: Vec::with_capacity(count), weights: Vec::with_capacity(count * self.inputs) };
        for _ in 0..count {
            panels.biases.push(self.sides(&self.bias));
            for input in 0..self.inputs {
                panels.weights.push(self.sides(|output| (self.weight)(output, input)));
            }
            self.first += N * SIDE;
        }
        panels
    }

    fn sides<const N: usize>(&self, number: impl Fn(usize) -> f32) -> Sides<N> {
        std::array::from_fn(|side| {
            std::array::from_fn(|lane| {
                let output = self.first + side * SIDE + lane;
                if output < self.outputs { number(output) } else { 0.0 }
            })
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
