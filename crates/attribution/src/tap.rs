//! Places in a model's forward function, by name: the model is cut there without being retyped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use candle_core::Tensor;

use crate::activations::{Activations, WHOLE};
use crate::error::{Error, Result};
use crate::gradient_check::ModelChecks;
use crate::target::{DEFAULT_BATCH, Target};
use crate::tensors::{check_input, check_rows, to_f64};

/// Names places in the forward function of any candle model, as PyTorch's hooks name modules: one
/// line a place, `let x = tap.at("layer3", &x)?;`. Otherwise the line does nothing.
/// [`cut`](Self::cut) then cuts the model at one of the places for the methods that look at an
/// activation, such as [`grad_cam`](crate::grad_cam).
///
/// Keep the tap beside the model's layers, or where its closure can see it. Clones are the same
/// tap. Threads do not disturb each other, but all of a run's places must be reached on the thread
/// that runs the model.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{GradCam, Tap, grad_cam};
///
/// let tap = Tap::new();
/// let weight = Tensor::new(&[[[[2f64]]], [[[-1.]]]], &Device::Cpu)?;
/// // Images [B, 1, H, W] → outputs [B, 2].
/// let model = |x: &Tensor| {
///     let z = x.conv2d(&weight, 0, 1, 1, 1)?.relu()?;
///     let z = tap.at("features", &z)?;
///     z.mean((2, 3))
/// };
/// let x = Tensor::new(&[[[[1f64, -3.]]]], &Device::Cpu)?;
/// let cut = tap.cut("features", &model, &x)?;
/// // f = mean of A₀ over two pixels, A₀ = (2, 0): α₀ = ½.
/// let map = grad_cam(&cut, &x, 0, &GradCam::default())?;
/// assert_eq!(map.to_vec3::<f64>()?, [[[1., 0.]]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Tap {
    /// What is done in the run of each thread; in a run of no interest nothing.
    runs: Arc<Mutex<HashMap<ThreadId, Run>>>,
}

/// One run of a model.
#[derive(Default)]
struct Run {
    /// The place that is asked for.
    place: String,
    /// With what the model goes on there.
    replacement: Option<Tensor>,
    /// What the model computed there.
    seen: Option<Tensor>,
    reached: Vec<String>,
    refusal: Option<Error>,
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

impl Tap {
    /// A tap for one model.
    pub fn new() -> Self {
        Self::default()
    }

    /// The place of this name: x itself, or, while a method looks at this place, the tensor that
    /// the method puts there. Go on with what it returns.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_attribution::{Activations, Tap};
    ///
    /// let tap = Tap::new();
    /// let model = |x: &Tensor| {
    ///     let z = tap.at("doubled", &(x * 2.)?)?;
    ///     z.sum_keepdim(1)
    /// };
    /// let x = Tensor::new(&[[1f64, 2.]], &Device::Cpu)?;
    /// assert_eq!(model(&x)?.to_vec2::<f64>()?, [[6.]]);
    /// // Cut at this place, the model goes on with what it is given.
    /// let cut = tap.cut("doubled", &model, &x)?;
    /// let z = Tensor::new(&[[5f64, 6.]], &Device::Cpu)?;
    /// assert_eq!(cut.outputs(&z)?.to_vec2::<f64>()?, [[11.]]);
    /// # Ok::<(), foresee_attribution::Error>(())
    /// ```
    ///
    /// # Errors
    /// Only while a method looks at this place: if it is reached twice in one run, or if what the
    /// method puts there has another shape or type than x.
    pub fn at(&self, name: &str, x: &Tensor) -> candle_core::Result<Tensor> {
        match self.lock().get_mut(&thread::current().id()) {
            None => Ok(x.clone()),
            Some(run) => run.at(name, x),
        }
    }

    /// The model cut at this place, which the methods take that need [`Activations`]. `x` is a
    /// batch of which the first input is tried: up to five runs of the model tell whether the place
    /// is reached, and whether it is a cut.
    ///
    /// # Errors
    /// If the model fails; if it does not reach the place (the error has the places that it does
    /// reach), or reaches it twice in one run; if its output does not change with what is put
    /// there.
    pub fn cut<F>(&self, place: &str, model: F, x: &Tensor) -> Result<TappedModel<F>>
    where
        F: Fn(&Tensor) -> candle_core::Result<Tensor>,
    {
        check_input(x)?;
        let example = x.narrow(0, 0, 1)?.detach().contiguous()?;
        let (output, z) = self.run(place, None, || model(&example))?;
        let output_with = |x: &Tensor, z: &Tensor| -> Result<Tensor> {
            Ok(self.run(place, Some(z), || model(x))?.0)
        };
        let changes = |z: Tensor| differ(&output_with(&example, &z)?, &output);
        // Maps without a common fixed point: one of them changes what is anywhere.
        if !changes(z.affine(0.5, 0.25)?)? && !changes(z.affine(-1., 2.)?)? {
            let reason = "the output does not change with it: go on with what `Tap::at` returns";
            return Err(Error::Place { name: place.into(), reason: reason.into() });
        }
        // Other inputs with the same activation.
        let changes_past = |x: Tensor| differ(&output_with(&x, &z)?, &output);
        let is_cut =
            !changes_past(example.affine(0.5, 0.25)?)? && !changes_past(example.affine(-1., 2.)?)?;
        Ok(TappedModel {
            is_cut,
            tap: self.clone(),
            place: place.into(),
            model,
            example,
            batch: DEFAULT_BATCH,
            checks: ModelChecks::default(),
        })
    }

    /// The model's output, and what it computed at the place.
    fn run(
        &self,
        place: &str,
        replacement: Option<&Tensor>,
        model: impl FnOnce() -> candle_core::Result<Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let run = Run { place: place.into(), replacement: replacement.cloned(), ..Run::default() };
        let active = ActiveRun::start(self, run);
        let output = model();
        let run = active.finish();
        if let Some(refusal) = run.refusal {
            return Err(refusal);
        }
        match (output?, run.seen) {
            (output, Some(seen)) => Ok((output, seen)),
            (_, None) => Err(Error::NoPlace { name: place.into(), places: run.reached }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ThreadId, Run>> {
        // A thread that panicked while it held the lock has changed nothing by halves.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn at(&mut self, name: &str, x: &Tensor) -> candle_core::Result<Tensor> {
        self.reached.push(name.into());
        if name != self.place {
            return Ok(x.clone());
        }
        if self.seen.is_some() {
            let reason = "it is reached twice in one run: give each place a name of its own";
            return Err(self.refuse(Error::Place { name: name.into(), reason: reason.into() }));
        }
        self.seen = Some(x.clone());
        match &self.replacement {
            None => Ok(x.clone()),
            Some(z) if z.dims() == x.dims() && z.dtype() == x.dtype() => Ok(z.clone()),
            Some(z) => {
                let reason = format!(
                    "{:?} of {:?} are put in its place, but the model computes {:?} of {:?}",
                    z.dims(),
                    z.dtype(),
                    x.dims(),
                    x.dtype()
                );
                Err(self.refuse(Error::Place { name: name.into(), reason }))
            }
        }
    }

    /// Keeps the error for the end of the run, and ends it.
    fn refuse(&mut self, refusal: Error) -> candle_core::Error {
        let message = refusal.to_string();
        self.refusal = Some(refusal);
        candle_core::Error::Msg(message)
    }
}

/// A run of this thread. It ends also if the model panics; a run that was there before, of a model
/// that explains another one, then goes on.
struct ActiveRun<'a> {
    tap: &'a Tap,
    before: Option<Run>,
}

impl<'a> ActiveRun<'a> {
    fn start(tap: &'a Tap, run: Run) -> Self {
        let before = tap.lock().insert(thread::current().id(), run);
        Self { tap, before }
    }

    fn finish(self) -> Run {
        let run = self.tap.lock().remove(&thread::current().id());
        run.unwrap_or_default()
    }
}

impl Drop for ActiveRun<'_> {
    fn drop(&mut self) {
        let mut runs = self.tap.lock();
        match self.before.take() {
            Some(before) => runs.insert(thread::current().id(), before),
            None => runs.remove(&thread::current().id()),
        };
    }
}

/// A model cut at a place of a [`Tap`], by [`Tap::cut`].
///
/// Each evaluation runs the whole model, also the part before the place. A path may go around the
/// place, such as a skip path around the inside of a residual branch:
/// [`activation_and_gradient`](Activations::activation_and_gradient), and so Grad-CAM, keeps such
/// paths as they are for the input, like PyTorch's hooks; [`outputs`](Activations::outputs), which
/// does not know the input, is an error there.
#[derive(Clone)]
pub struct TappedModel<F> {
    tap: Tap,
    place: String,
    model: F,
    /// [1, ...]
    example: Tensor,
    /// Whether everything that the output knows of the input goes through the place.
    is_cut: bool,
    batch: usize,
    checks: ModelChecks,
}

impl<F> std::fmt::Debug for TappedModel<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TappedModel").field("place", &self.place).finish_non_exhaustive()
    }
}

impl<F> TappedModel<F> {
    /// With at most `batch` inputs at once; at least 1. Default 32.
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch: batch.max(1), ..self }
    }

    /// Without the checks, as [`Target::unchecked`].
    #[must_use]
    pub fn unchecked(self) -> Self {
        Self { checks: ModelChecks::off(), ..self }
    }
}

impl<F> TappedModel<F>
where
    F: Fn(&Tensor) -> candle_core::Result<Tensor>,
{
    /// Outputs of inputs x whose activation is z.
    fn outputs_with(&self, x: &Tensor, z: &Tensor) -> candle_core::Result<Tensor> {
        let run = self.tap.run(&self.place, Some(z), || (self.model)(x));
        run.map(|(output, _)| output).map_err(candle_core::Error::wrap)
    }
}

impl<F> Activations for TappedModel<F>
where
    F: Fn(&Tensor) -> candle_core::Result<Tensor>,
{
    fn features(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let run = self.tap.run(&self.place, None, || (self.model)(x));
        run.map(|(_, z)| z).map_err(candle_core::Error::wrap)
    }

    fn outputs(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        if !self.is_cut {
            let reason = "the input also reaches the output on a path around it (or it is random), \
                          so that it does not follow from the activation: cut the model where all \
                          paths meet";
            let error = Error::Place { name: self.place.clone(), reason: reason.into() };
            return Err(candle_core::Error::wrap(error));
        }
        self.outputs_with(&repeated(&self.example, z.dim(0)?)?, z)
    }

    fn batch_size(&self) -> usize {
        self.batch
    }

    fn checks(&self) -> ModelChecks {
        self.checks.clone()
    }

    fn values(&self, x: &Tensor, target: usize, batch: usize) -> Result<Tensor> {
        Target::new(|x: &Tensor| (self.model)(x), target)
            .batch(batch)
            .with_checks(self.checks.clone(), WHOLE)
            .values(x)
    }

    fn activation_and_gradient(&self, x: &Tensor, target: usize) -> Result<(Tensor, Tensor)> {
        let x = x.detach();
        let (_, z) = self.tap.run(&self.place, None, || (self.model)(&x))?;
        let (z, n) = (z.detach(), x.dim(0)?);
        check_rows(&z, n)?;
        // The comparison takes points near any of the activations, with one input beside them all.
        let first = x.narrow(0, 0, 1)?;
        let beside_first = |z: &Tensor| self.outputs_with(&repeated(&first, z.dim(0)?)?, z);
        Target::new(beside_first, target)
            .batch(self.batch)
            .with_checks(self.checks.clone(), (0, 0))
            .check_gradient(&z, "the activation")?;
        let gradients = (0..n).step_by(self.batch).map(|start| {
            let rows = self.batch.min(n - start);
            let (x, z) = (x.narrow(0, start, rows)?, z.narrow(0, start, rows)?);
            Target::new(|z: &Tensor| self.outputs_with(&x, z), target)
                .unchecked_gradient(&z, "the activation")
        });
        let gradients = gradients.collect::<Result<Vec<_>>>()?;
        Ok((z, Tensor::cat(&gradients, 0)?))
    }
}

/// One row so many times.
fn repeated(row: &Tensor, rows: usize) -> candle_core::Result<Tensor> {
    let shape = [&[rows][..], &row.dims()[1..]].concat();
    row.broadcast_as(shape)?.contiguous()
}

/// Whether two outputs are not the same numbers.
fn differ(a: &Tensor, b: &Tensor) -> Result<bool> {
    let bits = |t: &Tensor| -> Result<Vec<u64>> {
        Ok(to_f64(&t.detach())?.into_iter().map(f64::to_bits).collect())
    };
    Ok(bits(a)? != bits(b)?)
}
