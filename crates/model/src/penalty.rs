//! λ‖M‖₁ of Eq. 10 in all its readings: what the masks cost.

use candle_core::{Result as CandleResult, Tensor};

use crate::config::{Sparsity, TrainConfig};

/// Pixels of the images for which [`Sparsity::Pixels`] is the sum itself.
const PIXELS: f64 = 1024.;

/// Keeps the slope of the root finite where a mask is shut.
const SHUT: f64 = 1e-4;

/// What masks cost: λ times the readings of ‖M‖₁, less a budget.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaskPenalty {
    pub lambda: f64,
    pub sparsity: Sparsity,
    /// See [`TrainConfig::budget`].
    pub budget: f64,
    /// See [`TrainConfig::variation`].
    pub variation: f64,
}

impl MaskPenalty {
    pub fn new(config: &TrainConfig) -> Self {
        let TrainConfig { lambda, sparsity, budget, variation, .. } = *config;
        Self { lambda, sparsity, budget, variation }
    }

    /// What a mask's mean over so many pixels is multiplied by, in a batch of `images` with
    /// `rows` masks each.
    pub fn of_mean(&self, pixels: usize, images: usize, rows: usize) -> f64 {
        let (pixels, images) = (pixels as f64, images as f64);
        let of_mean = match self.sparsity {
            Sparsity::Sum | Sparsity::Group => pixels / images,
            Sparsity::Mean => 1. / (images * rows.max(1) as f64),
            Sparsity::Batch => pixels,
            Sparsity::Pixels => PIXELS / images,
        };
        of_mean * self.lambda
    }

    /// Of masks with these means over the pixels, [B, K, C]: a scalar.
    pub fn of(&self, masks: &Tensor, pixels: usize, images: usize) -> CandleResult<Tensor> {
        let (_, k, c) = masks.dims3()?;
        let sizes = match self.sparsity {
            Sparsity::Group => (masks + SHUT)?.sqrt()?,
            _ if self.budget > 0. => ((masks.mean(2)? - self.budget)?.relu()? * c as f64)?,
            _ => masks.clone(),
        };
        sizes.sum_all()? * self.of_mean(pixels, images, k * c)
    }

    /// The gradient of the term of an image and an attribute with respect to its masks' means
    /// `[C]`. `asleep` is the sum of the means of those that sleep, which are 0 in `masks`.
    pub fn gradient(&self, masks: &[f32], asleep: f32, of_mean: f64, gradient: &mut [f32]) {
        if self.sparsity == Sparsity::Group {
            for (out, &mask) in gradient.iter_mut().zip(masks) {
                *out = (of_mean * 0.5 / (f64::from(mask) + SHUT).sqrt()) as f32;
            }
            return;
        }
        let spent = || {
            let sum = masks.iter().map(|&mask| f64::from(mask)).sum::<f64>() + f64::from(asleep);
            sum / masks.len() as f64
        };
        let is_within = self.budget > 0. && spent() <= self.budget;
        gradient.fill(if is_within { 0. } else { of_mean as f32 });
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Two attributes of two masks of 512 pixels, in one of 4 images.
    #[test]
    fn every_reading_by_hand() -> CandleResult<()> {
        let masks = Tensor::new(&[[[0.5f32, 0.1], [0.2, 0.]]], &Device::Cpu)?;
        let of = |sparsity, budget| -> CandleResult<f32> {
            MaskPenalty { lambda: 2., sparsity, budget, variation: 0. }
                .of(&masks, 512, 4)?
                .to_scalar()
        };
        let roots = 0.5001f32.sqrt() + 0.1001f32.sqrt() + 0.2001f32.sqrt() + 0.01;
        for (sparsity, expected) in [
            (Sparsity::Sum, 2. * 512. * 0.8 / 4.),
            (Sparsity::Mean, 2. * 0.8 / 16.),
            (Sparsity::Batch, 2. * 512. * 0.8),
            (Sparsity::Pixels, 2. * 1024. * 0.8 / 4.),
            (Sparsity::Group, 2. * 512. * roots / 4.),
        ] {
            let found = of(sparsity, 0.)?;
            assert!((found / expected - 1.).abs() < 1e-5, "{sparsity:?}: {found}, {expected}");
        }
        // Means of 0.3 and 0.1: only the first attribute is above 0.2, by 0.1 in two masks.
        let found = of(Sparsity::Sum, 0.2)?;
        assert!((found / (2. * 512. * 0.2 / 4.) - 1.).abs() < 1e-5, "{found}");
        Ok(())
    }
}
