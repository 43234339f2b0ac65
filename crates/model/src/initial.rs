//! Seeded initial weights, as PyTorch draws them: uniform in ±1/√fan_in, for weights and biases.

use candle_core::{Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Above the numbers of tensors, so that no draw for another purpose under the same seed (order of
/// faces, noise) shares a stream with the weights.
const PURPOSE: u64 = 4 << 48;

/// Draws initial values; each tensor has a stream of its own, named by its place in the network.
pub(crate) struct Initial<'a> {
    pub seed: u64,
    pub device: &'a Device,
}

impl Initial<'_> {
    pub fn uniform(&self, stream: u64, shape: &[usize], fan_in: usize) -> Result<Var> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(PURPOSE | stream);
        let bound = 1. / (fan_in as f32).sqrt();
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| rng.random_range(-bound..bound)).collect();
        Var::from_tensor(&Tensor::from_vec(values, shape, self.device)?)
    }

    pub fn constant(&self, value: f32, shape: &[usize]) -> Result<Var> {
        Var::from_tensor(&Tensor::full(value, shape, self.device)?)
    }
}
