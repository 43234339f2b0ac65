//! Random perturbations of inputs that a seed decides.

use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::error::Result;

/// Gaussian noise of x's shape; `deviation` is the standard deviation for the number of an input.
pub(crate) fn gaussian(
    x: &Tensor,
    seed: u64,
    sample: usize,
    deviation: impl Fn(usize) -> f64,
) -> Result<Tensor> {
    random_like(x, seed, sample, |input, rng| {
        deviation(input) * Distribution::<f64>::sample(&StandardNormal, rng)
    })
}

/// Uniform noise in [-radius, radius] of x's shape.
pub(crate) fn uniform(x: &Tensor, seed: u64, sample: usize, radius: f64) -> Result<Tensor> {
    random_like(x, seed, sample, |_, rng| radius * rng.random_range(-1f64..=1.))
}

/// Numbers of x's shape. Each input has a random stream of its own, which the seed, the sample's
/// number and the input's position in the batch decide.
fn random_like(
    x: &Tensor,
    seed: u64,
    sample: usize,
    draw: impl Fn(usize, &mut ChaCha8Rng) -> f64,
) -> Result<Tensor> {
    let inputs = x.dim(0)?;
    let size = x.elem_count() / inputs.max(1);
    let mut values = Vec::with_capacity(x.elem_count());
    for input in 0..inputs {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream((input as u64) << 32 | sample as u64);
        values.extend((0..size).map(|_| draw(input, &mut rng)));
    }
    Ok(Tensor::from_vec(values, x.shape(), x.device())?.to_dtype(x.dtype())?)
}
