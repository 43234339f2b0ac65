//! The composites of layer-wise relevance propagation, by name.

use candle_core::{Device, Tensor};
use foresee_attribution::Composite;
use serde::Serialize;

use crate::error::Result;
use crate::networks::reader::Reader;

/// ε of the rule ε alone.
const EPSILON: f64 = 1e-6;

/// Which rule each layer takes, as zennit calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LrpComposite {
    /// ε for linear layers, z⁺ for convolutions.
    EpsilonPlus,
    /// The same with equal shares in the first layer.
    EpsilonPlusFlat,
    /// ε for linear layers, γ for convolutions, the box of all pixels in the first layer.
    EpsilonGammaBox,
    /// ε for linear layers, α = 2 and β = 1 for convolutions.
    EpsilonAlpha2Beta1,
    /// ε for all layers.
    Epsilon,
}

impl LrpComposite {
    /// The composite for pixels that a reader normalises.
    ///
    /// # Errors
    /// If candle fails.
    pub fn composite(self, reader: &Reader, device: &Device) -> Result<Composite> {
        let normalised = |pixel: f32| {
            let of_channel = reader.mean.iter().zip(&reader.std);
            let values: Vec<f32> = of_channel.map(|(mean, std)| (pixel - mean) / std).collect();
            let channels = values.len();
            Tensor::from_vec(values, (1, channels, 1, 1), device)
        };
        Ok(match self {
            Self::EpsilonPlus => Composite::epsilon_plus(),
            Self::EpsilonPlusFlat => Composite::epsilon_plus_flat(),
            Self::EpsilonGammaBox => Composite::epsilon_gamma_box(normalised(0.)?, normalised(1.)?),
            Self::EpsilonAlpha2Beta1 => Composite::epsilon_alpha2_beta1(),
            Self::Epsilon => Composite::epsilon(EPSILON),
        })
    }
}
