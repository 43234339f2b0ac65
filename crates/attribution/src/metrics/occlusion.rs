//! What occluding patches of an image does to an output, and how well maps predict it.

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::infidelity::{Scaling, infidelity_from_changes};
use crate::error::{Error, Result};
use crate::target::Target;
use crate::tensors::{check_float, to_f64};

/// Patches of an image.
const PATCHES: usize = 40;

/// Square patches at random positions of an image, of a quarter of its shorter side, and by how
/// much f falls when each of them becomes 0.
#[derive(Debug, Clone)]
pub struct Occlusions {
    /// 1 inside of a patch, [1, 1, H, W].
    patches: Vec<Tensor>,
    /// f of the image less f of the image without the patch.
    changes: Vec<f64>,
}

impl Occlusions {
    /// 40 patches of one image x [1, C, H, W], at positions that the seed and the number of a
    /// random stream decide.
    ///
    /// # Errors
    /// If x is not one image, or the model fails.
    pub fn new<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
        target: &Target<F>,
        x: &Tensor,
        seed: u64,
        stream: u64,
    ) -> Result<Self> {
        let (h, w) = match *x.dims() {
            [1, c, h, w] if c * h * w > 0 => (h, w),
            _ => return Err(Error::shape("the image", x.dims(), "[1, C, H, W]")),
        };
        check_float("the image", x)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let patches = (0..PATCHES)
            .map(|_| Ok(random_patch(h, w, &mut rng, x.device())?.to_dtype(x.dtype())?))
            .collect::<Result<Vec<_>>>()?;
        let mut images = vec![x.clone()];
        for patch in &patches {
            images.push(x.broadcast_mul(&(1. - patch)?)?);
        }
        let values = to_f64(&target.values(&Tensor::cat(&images, 0)?)?)?;
        let changes = values[1..].iter().map(|value| values[0] - value).collect();
        Ok(Self { patches, changes })
    }

    /// Infidelity (Yeh et al., 2019) of a map [1, H, W], scaled by the factor from 0 that fits
    /// best: the mean square of the sum of the map over a patch less the fall of f without the
    /// patch.
    ///
    /// # Errors
    /// If the map has another size.
    pub fn infidelity(&self, map: &Tensor) -> Result<f64> {
        let changes = self
            .patches
            .iter()
            .zip(&self.changes)
            .map(|(patch, change)| Ok((patch.clone(), vec![*change])));
        Ok(infidelity_from_changes(&map.unsqueeze(1)?, changes, Scaling::BestFromZero)?[0])
    }

    /// Infidelity of a map that is 0 everywhere: what a useful map is below.
    ///
    /// # Errors
    /// If candle fails.
    pub fn infidelity_of_zeros(&self) -> Result<f64> {
        self.infidelity(&self.patches[0].zeros_like()?.squeeze(1)?)
    }
}

fn random_patch(h: usize, w: usize, rng: &mut ChaCha8Rng, device: &Device) -> Result<Tensor> {
    let side = (h.min(w) / 4).max(1);
    let top = rng.random_range(0..=h - side);
    let left = rng.random_range(0..=w - side);
    let is_inside = |pixel: usize| {
        (top..top + side).contains(&(pixel / w)) && (left..left + side).contains(&(pixel % w))
    };
    let values = (0..h * w).map(|pixel| if is_inside(pixel) { 1f32 } else { 0. });
    Ok(Tensor::from_iter(values, device)?.reshape((1, 1, h, w))?)
}
