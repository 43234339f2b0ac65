//! Layers that are cut at an activation.

use candle_core::Tensor;

use super::Layers;
use super::backward::{ReluGradient, backward_all, layer_inputs, one_hot};
use super::layer::forward_all;
use crate::activations::Activations;
use crate::error::Result;

/// [`Layers`] cut after one of them, by [`Layers::split_at`].
#[derive(Debug, Clone, Copy)]
pub struct SplitLayers<'a> {
    layers: &'a Layers,
    position: usize,
}

impl Layers {
    /// The model cut after the layer of this name.
    ///
    /// # Errors
    /// If there is no such layer.
    pub fn split_at(&self, name: &str) -> Result<SplitLayers<'_>> {
        Ok(SplitLayers { layers: self, position: self.position(name)? })
    }
}

impl Activations for SplitLayers<'_> {
    fn features(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        forward_all(&self.layers.sequence[..=self.position], x)
    }

    fn outputs(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        forward_all(&self.layers.sequence[self.position + 1..], z)
    }

    fn batch_size(&self) -> usize {
        self.layers.batch
    }

    fn activation_and_gradient(&self, x: &Tensor, target: usize) -> Result<(Tensor, Tensor)> {
        let (layers, index) = self.layers.with_one_output(target)?;
        let (before, after) = layers.sequence.split_at(self.position + 1);
        let z = forward_all(before, x)?.detach();
        let inputs = layer_inputs(after, &z)?;
        let one = one_hot(&inputs[after.len()], index, target)?;
        Ok((z, backward_all(after, &inputs, &one, ReluGradient::Plain)?))
    }
}
