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
}

impl MaskPenalty {
    pub fn new(config: &TrainConfig) -> Self {
        let TrainConfig { lambda, sparsity, budget, .. } = *config;
        Self { lambda, sparsity, budget }
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
        let sizes = self.sizes(masks)?;
        let sizes = match self.budget > 0. {
            true => ((sizes.mean(2)? - self.budget)?.relu()? * c as f64)?,
            false => sizes,
        };
        sizes.sum_all()? * self.of_mean(pixels, images, k * c)
    }

    /// What each attribute's sleeping masks, which are 0 in the heads' means, add to the sizes:
    /// for their means [K, C].
    pub fn asleep(&self, masks: &Tensor) -> CandleResult<Vec<f32>> {
        (self.sizes(masks)? - self.sizes(&masks.zeros_like()?)?)?.sum(1)?.to_vec1()
    }

    fn sizes(&self, masks: &Tensor) -> CandleResult<Tensor> {
        match self.sparsity {
            Sparsity::Group => (masks + SHUT)?.sqrt(),
            _ => Ok(masks.clone()),
        }
    }

    /// The gradient of the term of an image and an attribute with respect to its masks' means
    /// `[C]`. `asleep` is what [`asleep`](Self::asleep) gives for the attribute.
    pub fn gradient(&self, masks: &[f32], asleep: f32, of_mean: f64, gradient: &mut [f32]) {
        let root = self.sparsity == Sparsity::Group;
        let size = |mask: f32| {
            let mask = f64::from(mask);
            if root { (mask + SHUT).sqrt() } else { mask }
        };
        let spent = || {
            let sum = masks.iter().map(|&mask| size(mask)).sum::<f64>() + f64::from(asleep);
            sum / masks.len() as f64
        };
        if self.budget > 0. && spent() <= self.budget {
            return gradient.fill(0.);
        }
        match root {
            true => {
                for (out, &mask) in gradient.iter_mut().zip(masks) {
                    *out = (of_mean * 0.5 / size(mask)) as f32;
                }
            }
            false => gradient.fill(of_mean as f32),
        }
    }
}
