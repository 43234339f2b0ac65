//! One output of a model, and its gradient.

use candle_core::{Tensor, Var};

use crate::error::{Error, Result};
use crate::gradient_check::{Comparison, Finding, Known, ModelChecks, compare_rows};
use crate::tensors::{check_finite, check_input, in_batches, to_f64};

/// Inputs that are evaluated at once, unless said otherwise.
pub(crate) const DEFAULT_BATCH: usize = 32;

/// What is explained: f(x), column `index` of a model's outputs, x [B, ...] → [B, K]; x has numbers
/// with a fraction.
///
/// The rows of a batch must not influence each other (batch norm and dropout in evaluation mode).
/// No more than [`batch`](Self::batch) inputs go through the model at once, however many a method
/// needs: this bounds memory.
///
/// Two things are checked the first time for inputs of a shape, and then known to all copies of a
/// target. The first and the last input give the same f alone as in a batch. Before its first use,
/// the gradient is compared with central differences of f, along random directions from points
/// beside the inputs, at steps for the numbers' type: some operations of candle have wrong
/// gradients or none, and candle says nothing where another path goes past them. This costs some
/// thirty evaluations of f and 8 gradients for most models; where f is flat it is done again for
/// the next inputs. Which of equal maxima gets the gradient is not seen.
#[derive(Debug, Clone)]
pub struct Target<F> {
    model: F,
    index: usize,
    batch: usize,
    checks: ModelChecks,
    /// Which layers of a model these are, for the checks.
    part: (usize, usize),
}

impl<F: Fn(&Tensor) -> candle_core::Result<Tensor>> Target<F> {
    /// Output `index` of a model, at most 32 inputs at once.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_attribution::Target;
    ///
    /// // Two outputs, x₀·x₁ and x₀ + x₁. The first is to be explained.
    /// let model = |x: &Tensor| {
    ///     let (a, b) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
    ///     Tensor::cat(&[(&a * &b)?, (&a + &b)?], 1)
    /// };
    /// let target = Target::new(model, 0);
    /// let x = Tensor::new(&[[2f64, 3.]], &Device::Cpu)?;
    /// assert_eq!(target.values(&x)?.to_vec1::<f64>()?, [6.]);
    /// assert_eq!(target.gradient(&x)?.to_vec2::<f64>()?, [[3., 2.]]);
    /// # Ok::<(), foresee_attribution::Error>(())
    /// ```
    pub fn new(model: F, index: usize) -> Self {
        Self { model, index, batch: DEFAULT_BATCH, checks: ModelChecks::default(), part: (0, 0) }
    }

    /// With at most `batch` inputs at once; at least 1.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch: batch.max(1), ..self }
    }

    /// Without the checks: for a model whose gradient is not that of its values on purpose, such as
    /// one with a straight-through estimator.
    #[must_use]
    pub fn unchecked(self) -> Self {
        self.with_checks(ModelChecks::off(), (0, 0))
    }

    /// With checks that other targets of the model share; `part` tells its parts from each other.
    pub(crate) fn with_checks(self, checks: ModelChecks, part: (usize, usize)) -> Self {
        Self { checks, part, ..self }
    }

    /// Inputs at once.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// f(x) `[B]` for x [B, ...], without gradient.
    ///
    /// # Errors
    /// If the model fails, has no such output, gives another number of rows than x has, or an input
    /// gives another f alone than in a batch; if x is no batch of numbers with a fraction.
    pub fn values(&self, x: &Tensor) -> Result<Tensor> {
        check_input(x)?;
        let value = |x: &Tensor| Ok(self.column(&(self.model)(&x.detach())?, x.dim(0)?)?.detach());
        let values = in_batches(x, self.batch, value)?;
        let n = x.dim(0)?;
        let known = Known::new(None, self.part, self.index, x);
        if self.batch > 1 && n > 1 && self.checks.wants(&known) {
            let (first, last) = (value(&x.narrow(0, 0, 1)?)?, value(&x.narrow(0, n - 1, 1)?)?);
            if compare_rows(&values, &first, &last)? {
                self.checks.set(known);
            }
        }
        Ok(values)
    }

    /// f(x) as numbers.
    pub(crate) fn numbers(&self, x: &Tensor) -> Result<Vec<f64>> {
        to_f64(&self.values(x)?)
    }

    /// ∂f/∂x, of x's shape.
    ///
    /// # Errors
    /// As for [`values`](Self::values); if candle has no gradient for the model, one that is not
    /// finite, or one that is not that of f, or if that cannot be told (unless
    /// [`unchecked`](Self::unchecked)).
    pub fn gradient(&self, x: &Tensor) -> Result<Tensor> {
        self.gradient_in(x, "the input")
    }

    /// The gradient in x, which an error calls `what`.
    pub(crate) fn gradient_in(&self, x: &Tensor, what: &'static str) -> Result<Tensor> {
        self.check_gradient(x, what)?;
        self.gradients(x, what)
    }

    /// The gradient without a check or a bound on the batch. candle keeps gradients of variables
    /// only: x becomes one.
    pub(crate) fn unchecked_gradient(&self, x: &Tensor, what: &'static str) -> Result<Tensor> {
        let x = Var::from_tensor(&x.detach())?;
        let f = self.column(&(self.model)(&x)?, x.dim(0)?)?;
        let gradients = f.sum_all()?.backward()?;
        let gradient = gradients.get(&x).ok_or(Error::NoGradient(what))?.detach();
        check_finite(gradient, || format!("the gradient in {what}"))
    }

    fn column(&self, result: &Tensor, inputs: usize) -> Result<Tensor> {
        match result.dims() {
            &[rows, k] if self.index < k && rows == inputs => {
                Ok(result.narrow(1, self.index, 1)?.squeeze(1)?)
            }
            shape @ &[_, k] if self.index < k => Err(Error::Rows { inputs, shape: shape.to_vec() }),
            shape => Err(Error::Target { target: self.index, shape: shape.to_vec() }),
        }
    }

    /// Compares candle's gradient with the differences of f near x, unless that is done.
    pub(crate) fn check_gradient(&self, x: &Tensor, what: &'static str) -> Result<()> {
        self.check_gradient_by(x, what, |x| self.gradients(x, what))
    }

    /// Compares another way to the gradient with the differences of f near x, unless that is done.
    pub(crate) fn check_gradient_by(
        &self,
        x: &Tensor,
        what: &'static str,
        gradient: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<()> {
        check_input(x)?;
        let known = Known::new(Some(self.batch), self.part, self.index, x);
        if x.elem_count() == 0 || !self.checks.wants(&known) {
            return Ok(());
        }
        let values = |x: &Tensor| self.numbers(x);
        match Comparison::new(x, values, gradient)?.finding(values)? {
            Finding::Right => self.checks.set(known),
            // Elsewhere f may vary: the next inputs are compared again.
            Finding::Flat => {}
            Finding::Off(off) => return Err(Error::GradientOff { what, percent: 100. * off }),
            Finding::Unclear => return Err(Error::GradientUnclear(what)),
        }
        Ok(())
    }

    /// Gradients without a check.
    fn gradients(&self, x: &Tensor, what: &'static str) -> Result<Tensor> {
        in_batches(x, self.batch, |x| self.unchecked_gradient(x, what))
    }

    /// How far candle's gradient is from central differences of f along eight random directions,
    /// near x [B, ...], relative to the larger of the two; at the step, of several for the numbers'
    /// type, where it is least. Of a right gradient rounding leaves about 1e-9 in `f64` and up to
    /// 0.03 in `f32`.
    ///
    /// # Errors
    /// As for [`values`](Self::values), and if f is not finite near x.
    pub fn gradient_error(&self, x: &Tensor) -> Result<f64> {
        check_input(x)?;
        let values = |x: &Tensor| self.numbers(x);
        Comparison::new(x, values, |x| self.gradients(x, "the input"))?.least(values)
    }
}
