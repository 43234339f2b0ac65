//! Max-sensitivity (Yeh et al., 2019).

use candle_core::{DType, Tensor};

use crate::error::{Error, Result, check};
use crate::noise::uniform;
use crate::tensors::{check_input, check_rows, sum_per_input};

/// Options of [`max_sensitivity`].
#[derive(Debug, Clone, PartialEq)]
pub struct MaxSensitivity {
    /// Perturbations of each input, from 1. Default 10.
    pub samples: usize,
    /// Greatest change of an entry in the input's units, above 0. Default 0.02.
    pub radius: f64,
    /// Decides the perturbations together with the input's position in the batch. Default 0.
    pub seed: u64,
}

impl Default for MaxSensitivity {
    fn default() -> Self {
        Self { samples: 10, radius: 0.02, seed: 0 }
    }
}

/// max_r ‖φ(x + r) - φ(x)‖/‖φ(x)‖ for each input, over uniform r with |r_i| ≤ radius: how much a
/// change that does not matter changes the explanation `explain`, such as `|x| target.gradient(x)`.
/// Where φ(x) is 0, the numerator alone.
///
/// # Errors
/// If an option is outside its range, an explanation is not finite, or `explain` fails.
pub fn max_sensitivity(
    explain: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    options: &MaxSensitivity,
) -> Result<Vec<f64>> {
    max_sensitivity_from(explain, None, x, options)
}

/// [`max_sensitivity`] where φ(x) may be known already.
pub(super) fn max_sensitivity_from(
    explain: impl Fn(&Tensor) -> Result<Tensor>,
    at_x: Option<&Tensor>,
    x: &Tensor,
    options: &MaxSensitivity,
) -> Result<Vec<f64>> {
    check(options.samples >= 1, "samples", options.samples, "a number from 1")?;
    check(
        options.radius > 0. && options.radius.is_finite(),
        "radius",
        options.radius,
        "a number above 0",
    )?;
    let perturbations =
        (0..options.samples).map(|sample| uniform(x, options.seed, sample, options.radius));
    greatest_change(explain, at_x, x, perturbations)
}

/// [`max_sensitivity`] with given perturbations r of x's shape.
///
/// # Errors
/// If there is none, the shapes differ, an explanation is not finite, or `explain` fails.
pub fn max_sensitivity_with_perturbations(
    explain: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    perturbations: impl IntoIterator<Item = Result<Tensor>>,
) -> Result<Vec<f64>> {
    greatest_change(explain, None, x, perturbations)
}

fn greatest_change(
    explain: impl Fn(&Tensor) -> Result<Tensor>,
    at_x: Option<&Tensor>,
    x: &Tensor,
    perturbations: impl IntoIterator<Item = Result<Tensor>>,
) -> Result<Vec<f64>> {
    check_input(x)?;
    let at_x = at_x.map_or_else(|| explain(x), |at_x| Ok(at_x.clone()))?;
    check_rows(&at_x, x.dim(0)?)?;
    let own = norms(&at_x)?;
    let mut greatest: Option<Vec<f64>> = None;
    for perturbation in perturbations {
        let moved = norms(&(explain(&(x + perturbation?)?)? - &at_x)?)?;
        if moved.iter().chain(&own).any(|norm| !norm.is_finite()) {
            return Err(Error::NotFinite("the explanation".into()));
        }
        let relative =
            moved.iter().zip(&own).map(|(moved, own)| if *own > 0. { moved / own } else { *moved });
        greatest = Some(match greatest {
            None => relative.collect(),
            Some(greatest) => greatest.iter().zip(relative).map(|(a, b)| a.max(b)).collect(),
        });
    }
    greatest.map_or_else(|| check(false, "samples", 0, "a number from 1").map(|()| vec![]), Ok)
}

/// The Euclidean norm of each input's entries.
fn norms(t: &Tensor) -> Result<Vec<f64>> {
    Ok(sum_per_input(&t.to_dtype(DType::F64)?.sqr()?)?.into_iter().map(f64::sqrt).collect())
}
