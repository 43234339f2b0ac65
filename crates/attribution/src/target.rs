//! One output of a model, and its gradient.

use candle_core::{Tensor, Var};

use crate::error::{Error, Result, check};
use crate::tensors::{check_finite, in_batches, to_f64};

/// Inputs that are evaluated at once, unless said otherwise.
pub(crate) const DEFAULT_BATCH: usize = 32;

/// What is explained: f(x), column `index` of a model's outputs, x [B, ...] → [B, K].
///
/// The rows of a batch must not influence each other (batch norm in evaluation mode). No more than
/// [`batch`](Self::batch) inputs go through the model at once, however many a method needs: this
/// bounds memory.
#[derive(Debug, Clone)]
pub struct Target<F> {
    model: F,
    index: usize,
    batch: usize,
}

impl<F: Fn(&Tensor) -> candle_core::Result<Tensor>> Target<F> {
    /// Output `index` of a model, at most 32 inputs at once.
    pub fn new(model: F, index: usize) -> Self {
        Self { model, index, batch: DEFAULT_BATCH }
    }

    /// With at most `batch` inputs at once; at least 1.
    pub fn batch(self, batch: usize) -> Self {
        Self { batch: batch.max(1), ..self }
    }

    /// Inputs at once.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// f(x) `[B]` for x [B, ...], without gradient.
    ///
    /// # Errors
    /// If the model fails or has no such output.
    pub fn values(&self, x: &Tensor) -> Result<Tensor> {
        in_batches(x, self.batch, |x| Ok(self.column(&(self.model)(&x.detach())?)?.detach()))
    }

    /// f(x) as numbers.
    pub(crate) fn numbers(&self, x: &Tensor) -> Result<Vec<f64>> {
        to_f64(&self.values(x)?)
    }

    /// ∂f/∂x, of x's shape.
    ///
    /// # Errors
    /// If the model fails, has no such output, or candle has no gradient for it or one that is not
    /// finite.
    pub fn gradient(&self, x: &Tensor) -> Result<Tensor> {
        in_batches(x, self.batch, |x| self.unbatched_gradient(x, "the input"))
    }

    /// The gradient without a bound on the batch. candle keeps gradients of variables only: x
    /// becomes one.
    pub(crate) fn unbatched_gradient(&self, x: &Tensor, what: &'static str) -> Result<Tensor> {
        let x = Var::from_tensor(&x.detach())?;
        let f = self.column(&(self.model)(&x)?)?;
        let gradients = f.sum_all()?.backward()?;
        let gradient = gradients.get(&x).ok_or(Error::NoGradient(what))?.detach();
        check_finite(gradient, || format!("the gradient in {what}"))
    }

    fn column(&self, result: &Tensor) -> Result<Tensor> {
        match result.dims() {
            &[_, k] if self.index < k => Ok(result.narrow(1, self.index, 1)?.squeeze(1)?),
            shape => Err(Error::Target { target: self.index, shape: shape.to_vec() }),
        }
    }

    /// Compares [`gradient`](Self::gradient) with central differences of the model at x [B, ...]:
    /// the largest difference, relative to the largest difference quotient. `entries` of each input
    /// are tried, evenly spaced over it; `step` is the change of an entry.
    ///
    /// Some operations of candle 0.11 have wrong gradients (`max_pool2d`, pools whose kernel is not
    /// their stride, `upsample_nearest2d`); in `f64` with a step of 1e-5, a model that is smooth
    /// there gives less than 1e-6.
    ///
    /// # Errors
    /// As for `gradient`, if `entries` is 0 or `step` not above 0, and if f is not finite on the
    /// way.
    pub fn gradient_error(&self, x: &Tensor, entries: usize, step: f64) -> Result<f64> {
        check(entries >= 1, "entries", entries, "a number from 1")?;
        check(step > 0. && step.is_finite(), "step", step, "a number above 0")?;
        let gradient = self.gradient(x)?.flatten_from(1)?;
        let size = gradient.dim(1)?;
        let mut worst = 0f64;
        let mut largest = 0f64;
        for entry in (0..entries.min(size)).map(|i| i * size / entries.min(size)) {
            let mut change = vec![0f64; size];
            change[entry] = step;
            let change =
                Tensor::from_vec(change, &x.dims()[1..], x.device())?.to_dtype(x.dtype())?;
            let up = self.numbers(&x.broadcast_add(&change)?)?;
            let down = self.numbers(&x.broadcast_sub(&change)?)?;
            let analytic = to_f64(&gradient.narrow(1, entry, 1)?.squeeze(1)?)?;
            for ((up, down), analytic) in up.iter().zip(down).zip(analytic) {
                let quotient = (up - down) / (2. * step);
                if !quotient.is_finite() {
                    return Err(Error::NotFinite("the difference quotient".into()));
                }
                worst = worst.max((quotient - analytic).abs());
                largest = largest.max(quotient.abs());
            }
        }
        Ok(if worst == 0. { 0. } else { worst / largest })
    }
}
