//! Models that are cut at an activation, for the CAM family.

use candle_core::Tensor;

use crate::error::Result;
use crate::gradient_check::ModelChecks;
use crate::target::{DEFAULT_BATCH, Target};

/// What is known of a model before and after its cut together; no part of it has this number.
pub(crate) const WHOLE: (usize, usize) = (0, usize::MAX);

/// A model that can be cut at an activation.
///
/// candle keeps no gradients of intermediate tensors, so the activation becomes a variable and the
/// rest of the model is run from it.
pub trait Activations {
    /// The activation [B, C, H, W] of inputs x [B, ...].
    ///
    /// # Errors
    /// If x does not fit the model.
    fn features(&self, x: &Tensor) -> candle_core::Result<Tensor>;

    /// Outputs [B, K] from the activation on.
    ///
    /// # Errors
    /// If z does not fit the model.
    fn outputs(&self, z: &Tensor) -> candle_core::Result<Tensor>;

    /// Inputs at once, unless a method's options say otherwise. Default 32.
    fn batch_size(&self) -> usize {
        DEFAULT_BATCH
    }

    /// What is known of the model. A model that keeps its checks is checked once, not each time.
    fn checks(&self) -> ModelChecks {
        ModelChecks::default()
    }

    /// The activation and ∂f/∂activation, by candle's gradients, which are compared with the
    /// model's differences as by [`Target`], unless the model knows better.
    ///
    /// # Errors
    /// As for [`Target::gradient`].
    fn activation_and_gradient(&self, x: &Tensor, target: usize) -> Result<(Tensor, Tensor)> {
        let z = self.features(x)?.detach();
        let gradient = Target::new(|z: &Tensor| self.outputs(z), target)
            .batch(self.batch_size())
            .with_checks(self.checks(), (0, 0))
            .gradient_in(&z, "the activation")?;
        Ok((z, gradient))
    }

    /// f(x) `[B]`, output `target` of the whole model, at most `batch` inputs at once.
    ///
    /// # Errors
    /// As for [`Target::values`].
    fn values(&self, x: &Tensor, target: usize, batch: usize) -> Result<Tensor> {
        Target::new(|x: &Tensor| self.outputs(&self.features(x)?), target)
            .batch(batch)
            .with_checks(self.checks(), WHOLE)
            .values(x)
    }
}

/// [`Activations`] of a model that is given as two functions: x → z and z → outputs.
#[derive(Debug, Clone)]
pub struct SplitModel<F, G> {
    features: F,
    rest: G,
    checks: ModelChecks,
}

impl<F, G> SplitModel<F, G>
where
    F: Fn(&Tensor) -> candle_core::Result<Tensor>,
    G: Fn(&Tensor) -> candle_core::Result<Tensor>,
{
    /// The functions before and after the activation.
    pub fn new(features: F, rest: G) -> Self {
        Self { features, rest, checks: ModelChecks::default() }
    }

    /// Without the checks, as [`Target::unchecked`].
    #[must_use]
    pub fn unchecked(self) -> Self {
        Self { checks: ModelChecks::off(), ..self }
    }
}

impl<F, G> Activations for SplitModel<F, G>
where
    F: Fn(&Tensor) -> candle_core::Result<Tensor>,
    G: Fn(&Tensor) -> candle_core::Result<Tensor>,
{
    fn features(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        (self.features)(x)
    }

    fn outputs(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        (self.rest)(z)
    }

    fn checks(&self) -> ModelChecks {
        self.checks.clone()
    }
}
