//! What one layer computes.

use std::sync::Arc;

use candle_core::{D, Tensor};
use foresee_kernels::Rows;

use super::leaky_relu::leaky_relu;
use super::ops::{Conv2d, convolve, convolve_transposed, masks, pool_windows};

/// A layer that is given as a function.
pub type Function = Arc<dyn Fn(&Tensor) -> candle_core::Result<Tensor> + Send + Sync>;

/// What a layer computes.
#[derive(Clone)]
pub(crate) enum Layer {
    /// [B, I, H, W] → [B, O, H', W'], weight [O, I, n, m].
    Conv2d {
        weight: Tensor,
        bias: Tensor,
        options: Conv2d,
    },
    /// [B, I] → [B, O], weight [O, I].
    Linear {
        weight: Tensor,
        bias: Tensor,
    },
    /// [B, K, C] → [B, K], weight [K, C].
    Readout {
        weight: Tensor,
        bias: Tensor,
    },
    LeakyRelu {
        slope: f64,
    },
    AveragePool {
        size: usize,
    },
    MaxPool {
        size: usize,
    },
    /// Mean over the last two dimensions.
    GlobalAveragePool,
    Flatten,
    /// z [B, C, H, W] → sigmoid(conv_k(z)) ⊗ z, [B, K, C, H, W]; weight [K·C, C, n, n]. Masks of
    /// rows that are not kept are 0.
    Gate {
        weight: Tensor,
        bias: Tensor,
        rows: Rows,
    },
    /// x + branch(x).
    Residual(Vec<NamedLayer>),
    Other {
        function: Function,
        /// Whether it may contain ReLUs, which guided backpropagation would have to see.
        may_have_relus: bool,
    },
}

/// A layer and its name.
#[derive(Clone)]
pub(crate) struct NamedLayer {
    pub name: String,
    pub layer: Layer,
}

/// One layer after the other.
pub(crate) fn forward_all(layers: &[NamedLayer], x: &Tensor) -> candle_core::Result<Tensor> {
    layers.iter().try_fold(x.clone(), |x, named| named.layer.forward(&x))
}

/// The layer of this name, inside of residual branches or outside.
pub(crate) fn find<'a>(layers: &'a [NamedLayer], name: &str) -> Option<&'a NamedLayer> {
    find_by(layers, &|named| named.name == name)
}

/// The first layer that fulfils a condition; a residual sum comes before the layers of its branch.
pub(crate) fn find_by<'a>(
    layers: &'a [NamedLayer],
    condition: &dyn Fn(&NamedLayer) -> bool,
) -> Option<&'a NamedLayer> {
    layers.iter().find_map(|named| match &named.layer {
        _ if condition(named) => Some(named),
        Layer::Residual(branch) => find_by(branch, condition),
        _ => None,
    })
}

impl Layer {
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Conv2d { weight, bias, .. }
            | Self::Linear { weight, bias }
            | Self::Readout { weight, bias } => self.linear_map(x, weight, Some(bias)),
            Self::LeakyRelu { slope } => leaky_relu(x, *slope),
            Self::AveragePool { size } => pool_windows(x, *size)?.mean(D::Minus1),
            Self::MaxPool { size } => pool_windows(x, *size)?.max(D::Minus1),
            Self::GlobalAveragePool => x.mean((D::Minus2, D::Minus1)),
            Self::Flatten => x.flatten_from(1),
            Self::Gate { weight, bias, rows } => {
                masks(x, weight, bias, rows)?.broadcast_mul(&x.unsqueeze(1)?)
            }
            Self::Residual(branch) => x + forward_all(branch, x)?,
            Self::Other { function, .. } => function(x),
        }
    }

    /// W·x + b of a convolution, linear layer or readout, with these weights instead of its own.
    pub fn linear_map(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> candle_core::Result<Tensor> {
        let y = match self {
            Self::Conv2d { options, .. } => return convolve(x, weight, bias, options),
            Self::Linear { .. } => x.matmul(&weight.t()?)?,
            Self::Readout { .. } => x.broadcast_mul(weight)?.sum(D::Minus1)?,
            _ => candle_core::bail!("not a linear layer"),
        };
        match bias {
            None => Ok(y),
            Some(bias) => y.broadcast_add(bias),
        }
    }

    /// Wᵀ·s of a convolution, linear layer or readout with these weights, of x's shape.
    pub fn linear_map_transposed(
        &self,
        s: &Tensor,
        weight: &Tensor,
        x: &Tensor,
    ) -> candle_core::Result<Tensor> {
        match self {
            Self::Conv2d { options, .. } => convolve_transposed(s, weight, options, x),
            Self::Linear { .. } => s.matmul(weight),
            Self::Readout { .. } => s.unsqueeze(D::Minus1)?.broadcast_mul(weight),
            _ => candle_core::bail!("not a linear layer"),
        }
    }
}
