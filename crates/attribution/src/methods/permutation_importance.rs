//! Permutation feature importance (Fisher, Rudin & Dominici, 2018).

use candle_core::Tensor;
use foresee_stats::{mean, standard_deviation};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Result, check};
use crate::parts::Part;
use crate::target::DEFAULT_BATCH;
use crate::tensors::{check_rows, in_batches};

/// Options of [`permutation_importance`].
#[derive(Debug, Clone, PartialEq)]
pub struct Permutation {
    /// Permutations, from 2, so that there is a spread. Default 10.
    pub repeats: usize,
    /// Inputs at once, from 1. Default 32.
    pub batch: usize,
    /// Decides the permutations, which are the same for every part. Default 0.
    pub seed: u64,
}

impl Default for Permutation {
    fn default() -> Self {
        Self { repeats: 10, batch: DEFAULT_BATCH, seed: 0 }
    }
}

/// How much worse a model is without a part.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Importance {
    /// The part's name.
    pub part: String,
    /// The error on the inputs as they are.
    pub error: f64,
    /// The error with each permutation.
    pub permuted: Vec<f64>,
}

impl Importance {
    /// Mean increase of the error.
    pub fn increase(&self) -> f64 {
        mean(&self.permuted.iter().map(|permuted| permuted - self.error).collect::<Vec<_>>())
    }

    /// Standard deviation of the increase over the permutations (n - 1).
    pub fn standard_deviation(&self) -> f64 {
        standard_deviation(&self.permuted)
    }
}

/// The index of the part with the greatest [`increase`](Importance::increase); `None` if there are
/// no parts.
pub fn most_important(parts: &[Importance]) -> Option<usize> {
    (0..parts.len()).max_by(|&a, &b| parts[a].increase().total_cmp(&parts[b].increase()))
}

/// The increase of a model's error when a part of the inputs is permuted among them. `error` is the
/// error of outputs [N, K] for x [N, ...]; x may as well be features (channels are parts) or the
/// attributes that another model takes as inputs (columns are).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Part, Permutation, Result, permutation_importance};
///
/// // The model reads x₀ only, and is right about the labels.
/// let model = |x: &Tensor| x.narrow(1, 0, 1);
/// let x = Tensor::new(&[[0f64, 9.], [1., 7.], [2., 8.], [3., 6.]], &Device::Cpu)?;
/// let labels = Tensor::new(&[[0f64], [1.], [2.], [3.]], &Device::Cpu)?;
/// let error = |y: &Tensor| -> Result<f64> { Ok((y - &labels)?.sqr()?.mean_all()?.to_scalar()?) };
/// let parts = [Part::index("x₀", &[2], 0)?, Part::index("x₁", &[2], 1)?];
/// let found = permutation_importance(model, error, &x, &parts, &Permutation::default())?;
/// assert!(found[0].increase() > 0.);
/// assert_eq!(found[1].increase(), 0.);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If an option is outside its range, there are fewer than two inputs, a part does not fit, or the
/// model or `error` fails.
pub fn permutation_importance(
    model: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    error: impl Fn(&Tensor) -> Result<f64>,
    x: &Tensor,
    parts: &[Part],
    options: &Permutation,
) -> Result<Vec<Importance>> {
    let by_part =
        permutation_importances(model, |outputs| Ok(vec![error(outputs)?]), x, parts, options)?;
    Ok(by_part.into_iter().flatten().collect())
}

/// [`permutation_importance`] for several errors of the same outputs, such as one for each of them,
/// at the cost of one: for each part, the importance to each error.
///
/// # Errors
/// As for [`permutation_importance`].
pub fn permutation_importances(
    model: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    errors: impl Fn(&Tensor) -> Result<Vec<f64>>,
    x: &Tensor,
    parts: &[Part],
    options: &Permutation,
) -> Result<Vec<Vec<Importance>>> {
    importances_with_progress(model, errors, x, parts, options, |_| {})
}

/// [`permutation_importances`], with a call of `progress` after each part.
pub(super) fn importances_with_progress(
    model: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    errors: impl Fn(&Tensor) -> Result<Vec<f64>>,
    x: &Tensor,
    parts: &[Part],
    options: &Permutation,
    mut progress: impl FnMut(&Part),
) -> Result<Vec<Vec<Importance>>> {
    check(options.repeats >= 2, "repeats", options.repeats, "a number from 2")?;
    check(options.batch >= 1, "batch", options.batch, "a number from 1")?;
    let n = x.dim(0)?;
    let x = &x.detach().contiguous()?;
    check(n >= 2, "inputs", n, "at least 2")?;
    let outputs = |x: &Tensor| {
        let outputs = model(x)?.detach();
        check_rows(&outputs, x.dim(0)?)?;
        Ok(outputs)
    };
    let unpermuted = errors(&in_batches(x, options.batch, outputs)?)?;
    let all = Tensor::arange(0, n as u32, x.device())?;
    let permuted_errors = |part: &Part, repeat: usize| {
        let order = Tensor::from_vec(permutation(n, options.seed, repeat), n, x.device())?;
        let outputs = in_batches(&all, options.batch, |rows| {
            let others = x.index_select(&order.index_select(rows, 0)?, 0)?;
            outputs(&part.mix(&others, &x.index_select(rows, 0)?)?)
        })?;
        let found = errors(&outputs)?;
        check(found.len() == unpermuted.len(), "errors", found.len(), "as many each time")?;
        Ok(found)
    };
    let mut importances = Vec::with_capacity(parts.len());
    for part in parts {
        let permuted = (0..options.repeats)
            .map(|repeat| permuted_errors(part, repeat))
            .collect::<Result<Vec<_>>>()?;
        let importance = |(i, error): (usize, &f64)| {
            let permuted = permuted.iter().map(|errors| errors[i]).collect();
            Importance { part: part.name.clone(), error: *error, permuted }
        };
        importances.push(unpermuted.iter().enumerate().map(importance).collect());
        progress(part);
    }
    Ok(importances)
}

fn permutation(n: usize, seed: u64, repeat: usize) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(repeat as u64);
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(&mut rng);
    order
}
