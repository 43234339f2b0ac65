//! Seeded random numbers: initial weights and the masks of dropout. Each tensor has a stream of its
//! own, named by the seed, what it is for and its number, so that no draw depends on how many came
//! before it, or on threads.

use candle_core::{Device, Result, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// What random numbers are for, the high bits of the streams' numbers. Those of foresee-model and
/// of noise (foresee-perturb) are 4, 5, 8 and 9.
#[derive(Clone, Copy)]
enum Purpose {
    Weight = 6,
    Dropout = 7,
}

fn stream(seed: u64, purpose: Purpose, item: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((purpose as u64) << 48 | item);
    rng
}

/// How initial values are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Initial {
    /// Normal, with this standard deviation.
    Normal(f64),
    /// Uniform, between plus and minus this bound.
    Uniform(f64),
    /// All the same.
    Constant(f32),
}

impl Initial {
    /// He et al. (2015) for ReLUs, by the results that an input has: N(0, 2/(outputs·taps)).
    pub fn fan_out(outputs: usize, taps: usize) -> Self {
        Self::Normal((2. / (outputs * taps) as f64).sqrt())
    }

    /// PyTorch's default of a linear layer: uniform in ±1/√inputs.
    pub fn linear(inputs: usize) -> Self {
        Self::Uniform(1. / (inputs as f64).sqrt())
    }

    /// The tensor `number` of a network.
    pub fn draw(self, seed: u64, number: u64, shape: &[usize], device: &Device) -> Result<Tensor> {
        let mut rng = stream(seed, Purpose::Weight, number);
        let count = shape.iter().product();
        let values: Vec<f32> = match self {
            Self::Constant(value) => return Tensor::full(value, shape, device),
            Self::Normal(deviation) => {
                let draw = || deviation as f32 * rng.sample::<f32, _>(StandardNormal);
                std::iter::repeat_with(draw).take(count).collect()
            }
            Self::Uniform(bound) => {
                let bound = bound as f32;
                let draw = || rng.random_range(-bound..bound);
                std::iter::repeat_with(draw).take(count).collect()
            }
        };
        Tensor::from_vec(values, shape, device)
    }
}

/// The mask of dropout layer `layer` in a step, in the shape of `like`: 0 with this probability,
/// else 1/(1 - probability).
pub(crate) fn dropout_mask(
    seed: u64,
    step: usize,
    layer: usize,
    probability: f64,
    like: &Tensor,
) -> Result<Tensor> {
    let mut rng = stream(seed, Purpose::Dropout, (step as u64) << 8 | layer as u64);
    let kept = (1. / (1. - probability)) as f32;
    let draw = || if rng.random::<f64>() < probability { 0. } else { kept };
    let values: Vec<f32> = std::iter::repeat_with(draw).take(like.elem_count()).collect();
    Tensor::from_vec(values, like.shape(), like.device())?.to_dtype(like.dtype())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f32]) -> (f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let square = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        (mean, square.sqrt())
    }

    #[test]
    fn draws_have_the_spread_that_they_should_and_follow_from_their_names() -> Result<()> {
        let draw = |seed, number, initial: Initial| -> Result<Vec<f32>> {
            initial.draw(seed, number, &[100, 100], &Device::Cpu)?.flatten_all()?.to_vec1()
        };
        // √(2/(8·9)) = 1/6.
        let normal = draw(1, 2, Initial::fan_out(8, 9))?;
        let (mean, deviation) = moments(&normal);
        assert!(mean.abs() < 0.01 && (deviation - 1. / 6.).abs() < 0.01, "{mean} {deviation}");
        let uniform = draw(1, 3, Initial::linear(16))?;
        let (mean, deviation) = moments(&uniform);
        // A uniform distribution deviates by its bound, 1/4, over √3.
        assert!(mean.abs() < 0.01 && (deviation - 0.25 / 3f64.sqrt()).abs() < 0.01);
        assert!(uniform.iter().all(|v| v.abs() <= 0.25));
        assert_eq!(normal, draw(1, 2, Initial::fan_out(8, 9))?);
        assert_ne!(normal, draw(2, 2, Initial::fan_out(8, 9))?);
        assert_ne!(normal, draw(1, 4, Initial::fan_out(8, 9))?);
        Ok(())
    }

    #[test]
    fn dropout_keeps_the_mean_and_changes_from_step_to_step() -> Result<()> {
        let like = Tensor::zeros((50, 200), candle_core::DType::F32, &Device::Cpu)?;
        let mask = |step, layer| -> Result<Vec<f32>> {
            dropout_mask(3, step, layer, 0.2, &like)?.flatten_all()?.to_vec1()
        };
        let first = mask(0, 0)?;
        assert!(first.iter().all(|&v| v == 0. || v == 1.25));
        assert!((moments(&first).0 - 1.).abs() < 0.03);
        assert_eq!(first, mask(0, 0)?);
        assert_ne!(first, mask(1, 0)?);
        assert_ne!(first, mask(0, 1)?);
        Ok(())
    }
}
