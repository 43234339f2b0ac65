//! Seeded initial weights as in PyTorch: weights and biases are uniform in ±1/√fan_in.

use candle_core::{Device, Result, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The high bits of the streams' numbers. They keep the weights' random streams apart from those of
/// other purposes with the same seed, such as the order of images (1) or noise (5).
const PURPOSE: u64 = 4 << 48;

/// Draws initial values. Each tensor has a random stream of its own, numbered by its place in the
/// network.
pub(crate) struct Initial<'a> {
    pub seed: u64,
    pub device: &'a Device,
}

impl Initial<'_> {
    /// A variable with values drawn uniformly from ±1/√`fan_in`.
    pub fn uniform(&self, stream: u64, shape: &[usize], fan_in: usize) -> Result<Var> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(PURPOSE | stream);
        let bound = 1. / (fan_in as f32).sqrt();
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| rng.random_range(-bound..bound)).collect();
        Var::from_tensor(&Tensor::from_vec(values, shape, self.device)?)
    }

    /// A variable with equal values.
    pub fn constant(&self, value: f32, shape: &[usize]) -> Result<Var> {
        Var::from_tensor(&Tensor::full(value, shape, self.device)?)
    }
}
