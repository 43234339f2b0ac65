//! A network as a [`Model`], and the operations on it.

use candle_core::Tensor;
use foresee_perturb::{AttentionModel, Noise, Only, PowerCurve, add_noise};
use foresee_stats::Matrix;

use crate::definition::{Model, Operation};
use crate::error::AnyError;

/// Is told how many more images have been run through a network.
pub type Progress<'a> = &'a (dyn Fn(usize) + Sync);

/// A network that reads features, with a tone curve on the masks or none. Its outputs are logits.
pub(super) struct Heads<'a, M> {
    network: M,
    curve: Option<Only<PowerCurve>>,
    progress: Progress<'a>,
}

impl<'a, M> Heads<'a, M> {
    /// The unperturbed network.
    pub fn new(network: M, progress: Progress<'a>) -> Self {
        Self { network, curve: None, progress }
    }
}

impl<M: AttentionModel> Model for Heads<'_, M> {
    /// Features [B, C, H, W] of each batch.
    type Inputs = [Tensor];

    fn infer(&self, features: &[Tensor]) -> Result<Matrix, AnyError> {
        let mut rows = vec![];
        for z in features {
            let logits = match &self.curve {
                Some(curve) => self.network.logits_with_curves(z, &[curve])?.remove(0),
                None => self.network.logits(z)?,
            };
            rows.extend(to_rows(&logits)?);
            (self.progress)(z.dims()[0]);
        }
        Ok(Matrix::from_rows(&rows))
    }
}

/// Logits [B, K] as rows.
pub(super) fn to_rows(logits: &Tensor) -> Result<Vec<Vec<f64>>, AnyError> {
    let rows = logits.to_vec2::<f32>()?;
    Ok(rows.into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect())
}

/// Transforms the masks of one channel by Eq. 11 and 12 with β = 0. The strength is n - 1.
pub(super) struct TransformMasks {
    /// The channel.
    pub channel: usize,
}

impl<'a, M: AttentionModel + Clone> Operation<Heads<'a, M>> for TransformMasks {
    type Perturbed = Heads<'a, M>;

    fn name(&self) -> String {
        format!("tone curve on channel {}", self.channel)
    }

    fn perturb(&self, model: &Heads<'a, M>, strength: f64) -> Result<Heads<'a, M>, AnyError> {
        let curve = PowerCurve::new(1. + strength, 0.)?;
        Ok(Heads {
            network: model.network.clone(),
            curve: Some(Only::new(curve, None, Some(vec![self.channel]))),
            progress: model.progress,
        })
    }
}

/// The unperturbed network on noisy images. Its outputs are logits.
pub(super) struct NoisyImages<'a, M> {
    /// The network.
    pub network: &'a M,
    /// The noise.
    pub noise: Noise,
    /// Is told of each batch.
    pub progress: Progress<'a>,
}

impl<M: AttentionModel> Model for NoisyImages<'_, M> {
    /// Batches of normalised images [B, 3, H, W] and their numbers, which decide their noise.
    type Inputs = [(Tensor, Vec<usize>)];

    fn infer(&self, batches: &Self::Inputs) -> Result<Matrix, AnyError> {
        let mut rows = vec![];
        for (images, numbers) in batches {
            let noisy = add_noise(images, numbers, &self.noise)?;
            rows.extend(to_rows(&self.network.logits(&self.network.features(&noisy)?)?)?);
            (self.progress)(numbers.len());
        }
        Ok(Matrix::from_rows(&rows))
    }
}

/// Adds one draw of noise to the images. The strength is σ.
pub(super) struct AddNoise {
    /// The seed of the draw.
    pub seed: u64,
}

impl<'a, M: AttentionModel> Operation<NoisyImages<'a, M>> for AddNoise {
    type Perturbed = NoisyImages<'a, M>;

    fn name(&self) -> String {
        format!("noise, draw {}", self.seed)
    }

    fn perturb(
        &self,
        model: &NoisyImages<'a, M>,
        strength: f64,
    ) -> Result<NoisyImages<'a, M>, AnyError> {
        let noise = Noise { sigma: strength, seed: self.seed, ..model.noise.clone() };
        Ok(NoisyImages { noise, ..*model })
    }
}
