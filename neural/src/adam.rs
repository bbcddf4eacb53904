//! Adam (Kingma & Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1) over plain numbers, so that its whole
//! state can be written down.

const FIRST_DECAY: f32 = 0.9;
const SECOND_DECAY: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// The state of Adam for a list of tensors.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Adam {
    /// Steps so far.
    pub(crate) steps: u64,
    /// Moving means of the gradients.
    pub(crate) first: Vec<Vec<f32>>,
    /// Moving means of their squares.
    pub(crate) second: Vec<Vec<f32>>,
}

impl Adam {
    /// For tensors of the lengths of these.
    pub(crate) fn new(weights: &[Vec<f32>]) -> Self {
        let zeros: Vec<_> = weights.iter().map(|tensor| vec![0.0; tensor.len()]).collect();
        Self { steps: 0, first: zeros.clone(), second: zeros }
    }

    /// One step against the gradients, each times `scale`.
    pub(crate) fn step(&mut self, weights: &mut [Vec<f32>], gradients: &[Vec<f32>], scale: f32, learning_rate: f32) {
        self.steps += 1;
        // Beyond this many steps both corrections are 1.
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let correction = |decay: f32| (1.0 - f64::from(decay).powi(steps)) as f32;
        let rate = learning_rate / correction(FIRST_DECAY);
        let root = correction(SECOND_DECAY).sqrt();
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((weights, gradients), (first, second)) in weights.iter_mut().zip(gradients).zip(moments) {
            let moments = first.iter_mut().zip(second);
            for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradients).zip(moments) {
                let gradient = gradient * scale;
                *first = FIRST_DECAY * *first + (1.0 - FIRST_DECAY) * gradient;
                *second = SECOND_DECAY * *second + (1.0 - SECOND_DECAY) * gradient * gradient;
                *weight -= rate * *first / (second.sqrt() / root + EPSILON);
            }
        }
    }
}

/// The Euclidean norm of all gradients together.
pub(crate) fn norm(gradients: &[Vec<f32>]) -> f64 {
    gradients.iter().flatten().map(|&gradient| f64::from(gradient) * f64::from(gradient)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_those_of_pytorch() {
        // torch.optim.Adam(lr=0.1) on these gradients.
        let mut weights = vec![vec![1.0, -2.0]];
        let mut adam = Adam::new(&weights);
        for gradient in [[0.5, -4.0], [0.25, 1.0], [-1.0, 0.0]] {
            adam.step(&mut weights, &[gradient.to_vec()], 1.0, 0.1);
        }
        let expected = expected_by_hand();
        for (weight, expected) in weights[0].iter().zip(expected) {
            assert!((f64::from(*weight) - expected).abs() < 1e-6, "{weight} {expected}");
        }
    }

    /// Algorithm 1 in doubles, as the paper has it.
    fn expected_by_hand() -> [f64; 2] {
        let mut result = [1.0, -2.0];
        for (at, gradients) in [[0.5, 0.25, -1.0], [-4.0, 1.0, 0.0]].into_iter().enumerate() {
            let (mut m, mut v) = (0.0_f64, 0.0_f64);
            for (t, gradient) in (1..).zip(gradients) {
                m = 0.9 * m + 0.1 * gradient;
                v = 0.999 * v + 0.001 * gradient * gradient;
                let (m_hat, v_hat) = (m / (1.0 - 0.9_f64.powi(t)), v / (1.0 - 0.999_f64.powi(t)));
                result[at] -= 0.1 * m_hat / (v_hat.sqrt() + 1e-8);
            }
        }
        result
    }
}
