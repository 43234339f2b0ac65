//! Layers that are cut at an activation.

use candle_core::Tensor;

use super::Layers;
use super::backward::ReluGradient;
use super::layer::forward_all;
use crate::activations::Activations;
use crate::error::Result;
use crate::gradient_check::ModelChecks;
use crate::target::Target;

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

    fn checks(&self) -> ModelChecks {
        self.layers.checks_of(&self.layers.sequence[self.position + 1..])
    }

    fn activation_and_gradient(&self, x: &Tensor, target: usize) -> Result<(Tensor, Tensor)> {
        let z = self.features(x)?.detach();
        let part = (self.position + 1, self.layers.sequence.len());
        let rest = Target::new(|z: &Tensor| self.outputs(z), target)
            .batch(self.layers.batch)
            .with_checks(self.checks(), part);
        let gradient = |z: &Tensor| self.gradient(z, target);
        rest.check_gradient_by(&z, "the activation", gradient)?;
        Ok((z.clone(), gradient(&z)?))
    }

    /// Without the outputs that are not asked for.
    fn values(&self, x: &Tensor, target: usize, batch: usize) -> Result<Tensor> {
        self.layers.target(target).batch(batch).values(x)
    }
}

impl SplitLayers<'_> {
    /// ∂f/∂z of output `target`.
    fn gradient(&self, z: &Tensor, target: usize) -> Result<Tensor> {
        let sequence = self.layers.sequence[self.position + 1..].to_vec();
        let after = Layers { sequence, ..self.layers.clone() };
        after.backward(z, target, ReluGradient::Plain)
    }
}
