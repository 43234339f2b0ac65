//! Figures 7 and 8: accuracy over the strength of an operation, from features that are computed
//! once.

use candle_core::Tensor;
use foresee_kernels::{ToneCurve, select_channels};

use crate::error::Result;
use crate::model::AttentionModel;
use crate::noise::{Noise, add_noise};
use crate::prune::Cut;

/// Right and wrong answers of one setting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Rightly classified images by attribute.
    pub right: Vec<u64>,
    /// For each image the share of its attributes that are right, in the order the images came.
    pub by_image: Vec<f32>,
}

impl Tally {
    /// Adds logits and labels [B, K].
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn add(&mut self, logits: &Tensor, labels: &Tensor) -> Result<()> {
        let right = logits.gt(0f64)?.eq(&labels.gt(0.5f64)?)?.to_vec2::<u8>()?;
        for row in right {
            self.right.resize(row.len(), 0);
            self.right.iter_mut().zip(&row).for_each(|(sum, &r)| *sum += u64::from(r));
            self.by_image.push(row.iter().map(|&r| f32::from(r)).sum::<f32>() / row.len() as f32);
        }
        Ok(())
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.by_image.len()
    }

    /// Rightly answered attributes of each image, in the order the images came.
    pub fn right_by_image(&self) -> Vec<i64> {
        self.by_image.iter().map(|share| (share * self.right.len() as f32).round() as i64).collect()
    }

    /// Accuracy of each attribute.
    pub fn by_attribute(&self) -> Vec<f64> {
        self.right.iter().map(|&r| r as f64 / self.images() as f64).collect()
    }

    /// Mean accuracy.
    pub fn accuracy(&self) -> f64 {
        self.right.iter().sum::<u64>() as f64 / (self.images() * self.right.len()) as f64
    }

    /// Standard error of the mean accuracy over images.
    pub fn standard_error(&self) -> f64 {
        let (n, mean) = (self.images() as f64, self.accuracy());
        (self.by_image.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>()
            / (n * (n - 1.).max(1.)))
        .sqrt()
    }
}

/// Classifies the same images with each of many smaller networks: a tally for `curves[i][j]` at
/// `[i][j]`. They read the whole network's features, which are computed once.
///
/// `batches` yields images [B, 3, H, W] and labels [B, K].
///
/// # Errors
/// The first error of a batch or of the model.
pub fn prune_curves<M: AttentionModel, E: From<crate::Error>>(
    model: &M,
    curves: &[Vec<Cut>],
    batches: impl Iterator<Item = std::result::Result<(Tensor, Tensor), E>>,
) -> std::result::Result<Vec<Vec<Tally>>, E> {
    let mut tallies: Vec<Vec<Tally>> =
        curves.iter().map(|cuts| vec![Tally::default(); cuts.len()]).collect();
    for batch in batches {
        let (images, labels) = batch?;
        let features = model.features(&images).map_err(crate::Error::from)?;
        // With nothing pruned, all curves are one network.
        let whole = model.logits(&features).map_err(crate::Error::from)?;
        for (cuts, tallies) in curves.iter().zip(&mut tallies) {
            for (cut, tally) in cuts.iter().zip(tallies) {
                let logits = if cut.kept().len() == model.channels() {
                    whole.clone()
                } else {
                    cut_logits(model, &features, cut)?
                };
                tally.add(&logits, &labels)?;
            }
        }
    }
    Ok(tallies)
}

/// Making the smaller network costs far less than running it, so that none is kept: a sweep needs
/// no more memory than one network.
fn cut_logits<M: AttentionModel>(model: &M, features: &Tensor, cut: &Cut) -> Result<Tensor> {
    Ok(model.cut(cut)?.logits(&select_channels(features, cut.kept())?)?)
}

/// Classifies images with noise of each σ under each curve: a tally for `sigmas[i]` and `curves[j]`
/// at `[i][j]`. For each σ the features and masks are computed once for all curves.
///
/// `batches` yields images [B, 3, H, W], labels [B, K] and the images' numbers, which decide their
/// noise.
///
/// # Errors
/// The first error of a batch or of the model.
pub fn transform_grid<M: AttentionModel, E: From<crate::Error>>(
    model: &M,
    noise: &Noise,
    sigmas: &[f64],
    curves: &[&dyn ToneCurve],
    batches: impl Iterator<Item = std::result::Result<(Tensor, Tensor, Vec<usize>), E>>,
) -> std::result::Result<Vec<Vec<Tally>>, E> {
    let mut tallies = vec![vec![Tally::default(); curves.len()]; sigmas.len()];
    for batch in batches {
        let (images, labels, numbers) = batch?;
        for (&sigma, tallies) in sigmas.iter().zip(&mut tallies) {
            let noisy = add_noise(&images, &numbers, &Noise { sigma, ..*noise })?;
            let features = model.features(&noisy).map_err(crate::Error::from)?;
            let logits = model.logits_under(&features, curves).map_err(crate::Error::from)?;
            for (logits, tally) in logits.iter().zip(tallies) {
                tally.add(logits, &labels)?;
            }
        }
    }
    Ok(tallies)
}
