//! A model as a sequence of known layers: what LRP, guided backpropagation and CAM need to see.

mod backward;
mod build;
mod fused;
mod layer;
mod leaky_relu;
mod load;
mod ops;
mod shapes;
mod split;
mod weights;

pub use build::BatchNorm;
pub use load::LayerKind;
pub use ops::Conv2d;
pub use split::SplitLayers;
pub use weights::Weights;

pub(crate) use backward::{ReluGradient, layer_inputs, one_hot};
pub(crate) use layer::{Layer, NamedLayer, find, find_by, forward_all};
pub(crate) use leaky_relu::leaky_relu_gradient;
pub(crate) use ops::{masks, max_pool_gradient, pool_windows, unpool};

use candle_core::Tensor;

use self::fused::fused;
use crate::error::{Error, Result};
use crate::gradient_check::ModelChecks;
use crate::target::{DEFAULT_BATCH, Target};
use crate::tensors::in_batches;

/// A sequence of layers, built one after the other, [B, ...] → [B, K].
///
/// Layers must not let the rows of a batch influence each other. At most [`batch`](Self::batch)
/// inputs go through at once. Weights are used without gradient: gradients of the input cost no
/// more than they must.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::Layers;
///
/// let weight = Tensor::new(&[[1f64, -1.], [2., 0.]], &Device::Cpu)?;
/// let layers = Layers::new().linear("hidden", &weight, None)?.relu("relu")?;
/// assert_eq!(layers.names(), ["hidden", "relu"]);
/// let x = Tensor::new(&[[3f64, 5.]], &Device::Cpu)?;
/// assert_eq!(layers.activation("hidden", &x)?.to_vec2::<f64>()?, [[-2., 6.]]);
/// assert_eq!(layers.forward(&x)?.to_vec2::<f64>()?, [[0., 6.]]);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
#[derive(Clone)]
pub struct Layers {
    pub(crate) sequence: Vec<NamedLayer>,
    pub(crate) batch: usize,
    pub(crate) checks: ModelChecks,
}

impl Default for Layers {
    fn default() -> Self {
        Self { sequence: vec![], batch: DEFAULT_BATCH, checks: ModelChecks::default() }
    }
}

impl std::fmt::Debug for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layers").field("names", &self.names()).field("batch", &self.batch).finish()
    }
}

impl Layers {
    /// No layers yet; at most 32 inputs at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// With at most `batch` inputs at once; at least 1.
    pub fn batch(self, batch: usize) -> Self {
        Self { batch: batch.max(1), ..self }
    }

    /// Without the checks of layers put in by [`other`](Self::other), as
    /// [`Target::unchecked`].
    pub fn unchecked(self) -> Self {
        Self { checks: ModelChecks::off(), ..self }
    }

    /// What is to be checked of these layers: nothing where each is known, since tests compare them
    /// with PyTorch.
    pub(crate) fn checks_of(&self, layers: &[NamedLayer]) -> ModelChecks {
        let is_other = |named: &NamedLayer| matches!(named.layer, Layer::Other { .. });
        match find_by(layers, &is_other) {
            Some(_) => self.checks.clone(),
            None => ModelChecks::off(),
        }
    }

    /// Inputs at once.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// The layers' names, first to last. Layers inside of a residual branch are not among them.
    pub fn names(&self) -> Vec<String> {
        self.sequence.iter().map(|named| named.name.clone()).collect()
    }

    /// [B, ...] → [B, K], without a bound on the batch.
    ///
    /// # Errors
    /// If the input does not fit a layer.
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        forward_all(&self.sequence, x)
    }

    /// Output `index` of this model, for the methods that take any function. Masks and readouts of
    /// other outputs are not computed where the model ends as the paper's does or in a linear
    /// layer: the target is then the only column of a narrower model.
    pub fn target(
        &self,
        index: usize,
    ) -> Target<impl Fn(&Tensor) -> candle_core::Result<Tensor> + Clone + use<>> {
        let (layers, index) = self.with_one_output(index).unwrap_or_else(|_| (self.clone(), index));
        let layers = Self { sequence: fused(&layers.sequence), ..layers };
        let (batch, checks) = (self.batch, self.checks_of(&self.sequence));
        let part = (0, self.sequence.len());
        Target::new(move |x: &Tensor| layers.forward(x), index)
            .batch(batch)
            .with_checks(checks, part)
    }

    /// The output of the layer of this name.
    ///
    /// # Errors
    /// If there is no such layer, or the input does not fit one.
    pub fn activation(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let position = self.position(name)?;
        in_batches(x, self.batch, |x| Ok(forward_all(&self.sequence[..=position], x)?.detach()))
    }

    pub(crate) fn position(&self, name: &str) -> Result<usize> {
        self.sequence
            .iter()
            .position(|named| named.name == name)
            .ok_or_else(|| Error::NoLayer { name: name.into(), layers: self.names() })
    }

    /// The same model with its masks and their average in one step where the kernels have it.
    pub(crate) fn with_fused_heads(self) -> Self {
        let is_gate = |named: &NamedLayer| matches!(named.layer, Layer::Gate { .. });
        let Some(gate) = self.sequence.iter().position(is_gate) else {
            return self;
        };
        let (before, heads) = self.sequence.split_at(gate);
        Self { sequence: [before.to_vec(), fused(heads)].concat(), ..self }
    }

    /// The same model with one output only, so that layers do nothing for the others, and that
    /// output's new index. The whole model and the old index, where the end of the model does not
    /// allow it.
    pub(crate) fn with_one_output(&self, index: usize) -> Result<(Self, usize)> {
        let mut narrow = self.clone();
        let Some((last, before)) = narrow.sequence.split_last_mut() else {
            return Ok((narrow, index));
        };
        let rows = |t: &Tensor, start, n| -> candle_core::Result<Tensor> {
            t.narrow(0, start, n)?.contiguous()
        };
        match &mut last.layer {
            Layer::Linear { weight, bias } if index < weight.dims()[0] => {
                *weight = rows(weight, index, 1)?;
                *bias = rows(bias, index, 1)?;
                Ok((narrow, 0))
            }
            Layer::Readout { weight, bias } if index < weight.dims()[0] => {
                let [
                    ..,
                    NamedLayer {
                        layer: Layer::Gate { weight: masks, bias: offsets, rows: kept },
                        ..
                    },
                    NamedLayer { layer: Layer::GlobalAveragePool, .. },
                ] = before
                else {
                    return Ok((self.clone(), index));
                };
                let c = masks.dims()[1];
                *weight = rows(weight, index, 1)?;
                *bias = rows(bias, index, 1)?;
                *masks = rows(masks, index * c, c)?;
                *offsets = rows(offsets, index * c, c)?;
                *kept = kept.on_attributes(&[index]);
                Ok((narrow, 0))
            }
            _ => Ok((self.clone(), index)),
        }
    }
}
