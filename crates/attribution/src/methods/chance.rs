//! The control of all methods: random numbers.

use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result, check};

/// Maps [B, H, W] of uniform random numbers from 0 to 1 in `f32` for images x [B, C, H, W]. They
/// know nothing of the images or the model: the seed, the number of each image and the number of
/// the attribute (below 256) decide them.
///
/// # Errors
/// If x has not four dimensions, the attribute is no number below 256, or there is not one number
/// for each image.
pub fn chance(x: &Tensor, images: &[usize], attribute: usize, seed: u64) -> Result<Tensor> {
    let &[b, _, h, w] = x.dims() else {
        return Err(Error::shape("the images", x.dims(), "[B, C, H, W]"));
    };
    check(attribute < 256, "attribute", attribute, "a number below 256")?;
    check(images.len() == b, "images", images.len(), "one number for each image")?;
    let mut values: Vec<f32> = Vec::with_capacity(b * h * w);
    for &image in images {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream((image as u64) << 8 | attribute as u64);
        values.extend((0..h * w).map(|_| rng.random::<f32>()));
    }
    Ok(Tensor::from_vec(values, (b, h, w), x.device())?)
}
