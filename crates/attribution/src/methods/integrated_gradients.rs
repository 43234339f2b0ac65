//! Integrated gradients (Sundararajan et al., 2017).

use candle_core::{Shape, Tensor};
use foresee_stats::gauss_legendre;

use crate::baseline::baseline_like;
use crate::error::{Error, Result, check};
use crate::precision::epsilon;
use crate::target::Target;
use crate::tensors::{check_finite, sum_per_input, to_f64};

/// How the integral over the path becomes a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quadrature {
    /// Gauss-Legendre nodes and weights, as Captum by default.
    #[default]
    GaussLegendre,
    /// Equal weights in the middle of equal steps.
    Midpoint,
}

/// Options of [`integrated_gradients`].
#[derive(Debug, Clone, PartialEq)]
pub struct IntegratedGradients {
    /// Points on the path, from 1. Default 50.
    pub steps: usize,
    /// Default Gauss-Legendre.
    pub quadrature: Quadrature,
    /// The greatest [`gap`](IntegratedGradientsResult::gap) that is not refused; infinity refuses
    /// none. Default 0.1.
    pub max_gap: f64,
}

impl Default for IntegratedGradients {
    fn default() -> Self {
        Self { steps: 50, quadrature: Quadrature::GaussLegendre, max_gap: 0.1 }
    }
}

/// An attribution, and how far it is from complete.
#[derive(Debug, Clone)]
pub struct IntegratedGradientsResult {
    /// Of x's shape.
    pub attribution: Tensor,
    /// For each input, the sum of its attribution minus (f(x) - f(baseline)): 0 for an exact
    /// integral.
    pub convergence_delta: Vec<f64>,
    /// The size of that gap, relative to the greatest of f(x) - f(baseline), the attribution's sum,
    /// and a tenth of the sum of its sizes; 0 within the rounding of f.
    pub gap: Vec<f64>,
}

/// (x - x') ⊗ ∫₀¹ ∂f(x' + α(x - x'))/∂x dα for a baseline x' of x's shape, or of one input's shape
/// for all; `None` is 0.
///
/// Steps × inputs points are evaluated, no more at once than the target's batch. An entry that is
/// the baseline's gets 0, whatever the model makes of it.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{IntegratedGradients, Target, integrated_gradients};
///
/// // f(x) = x₀·x₁. On the way from 0 to x the gradient grows from 0 to (x₁, x₀): it is half of
/// // that on average.
/// let model = |x: &Tensor| x.narrow(1, 0, 1)? * x.narrow(1, 1, 1)?;
/// let x = Tensor::new(&[[2f64, 3.]], &Device::Cpu)?;
/// let options = IntegratedGradients::default();
/// let found = integrated_gradients(&Target::new(model, 0), &x, None, &options)?;
/// let shares = found.attribution.to_vec2::<f64>()?;
/// assert!(shares[0].iter().all(|share| (share - 3.).abs() < 1e-9));
/// // They add up to f(x) - f(0) = 6.
/// assert!(found.convergence_delta[0].abs() < 1e-9);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If an option is outside its range, the baseline does not fit, as for [`Target::gradient`], or if
/// the attribution of an input does not add up to f(x) - f(baseline).
pub fn integrated_gradients<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    baseline: Option<&Tensor>,
    options: &IntegratedGradients,
) -> Result<IntegratedGradientsResult> {
    check(options.steps >= 1, "steps", options.steps, "a number from 1")?;
    check(options.max_gap >= 0., "max_gap", options.max_gap, "a number from 0")?;
    target.check_gradient(x, "the input")?;
    let x = &x.detach().contiguous()?;
    let baseline = baseline_like(x, baseline)?;
    let difference = (x - &baseline)?;
    let points = nodes(options.quadrature, options.steps);
    let total = x.dim(0)? * options.steps;
    let mut integral = x.zeros_like()?;
    for start in (0..total).step_by(target.batch_size()) {
        let rows = start..(start + target.batch_size()).min(total);
        let inputs =
            Tensor::from_iter(rows.clone().map(|row| (row / options.steps) as u32), x.device())?;
        let column = |value: fn(&(f64, f64)) -> f64| -> Result<Tensor> {
            let values: Vec<f64> =
                rows.clone().map(|row| value(&points[row % options.steps])).collect();
            let mut shape = vec![1; x.rank()];
            shape[0] = values.len();
            Ok(Tensor::from_vec(values, Shape::from(shape), x.device())?.to_dtype(x.dtype())?)
        };
        let alphas = column(|(alpha, _)| *alpha)?;
        let weights = column(|(_, weight)| *weight)?;
        let on_path = (baseline.index_select(&inputs, 0)?
            + difference.index_select(&inputs, 0)?.broadcast_mul(&alphas)?)?;
        let gradient = target.unchecked_gradient(&on_path, "the input")?.broadcast_mul(&weights)?;
        integral = integral.index_add(&inputs, &gradient.contiguous()?, 0)?;
    }
    let attribution = (difference * integral)?;
    let ends = [target.values(x)?, target.values(&baseline)?];
    let rounding = epsilon(x.dtype());
    let [at_x, at_baseline] = ends.map(|f| check_finite(f, || "the model".into()));
    let (at_x, at_baseline) = (to_f64(&at_x?)?, to_f64(&at_baseline?)?);
    // The change, and what rounding can make of it.
    let change = at_x.iter().zip(&at_baseline);
    let change = change.map(|(x, b)| (x - b, 32. * rounding * x.abs().max(b.abs())));
    complete(attribution, &change.collect::<Vec<_>>(), options)
}

/// The attribution with its gaps, unless one is too large.
fn complete(
    attribution: Tensor,
    change: &[(f64, f64)],
    options: &IntegratedGradients,
) -> Result<IntegratedGradientsResult> {
    let sums = sum_per_input(&attribution)?;
    let sizes = sum_per_input(&attribution.abs()?)?;
    let convergence_delta: Vec<f64> =
        sums.iter().zip(change).map(|(sum, (change, _))| sum - change).collect();
    let scale = |i: usize| sums[i].abs().max(change[i].0.abs()).max(sizes[i] / 10.);
    let relative = |(i, delta): (usize, &f64)| {
        if delta.abs() <= change[i].1 { 0. } else { delta.abs() / scale(i) }
    };
    let gap: Vec<f64> = convergence_delta.iter().enumerate().map(relative).collect();
    if let Some(input) = gap.iter().position(|&gap| gap > options.max_gap) {
        return Err(Error::Incomplete {
            input,
            sum: sums[input],
            expected: change[input].0,
            percent: 100. * gap[input],
            steps: options.steps,
            allowed: 100. * options.max_gap,
        });
    }
    Ok(IntegratedGradientsResult { attribution, convergence_delta, gap })
}

/// Points α in [0, 1] and their weights, whose sum is 1.
fn nodes(quadrature: Quadrature, n: usize) -> Vec<(f64, f64)> {
    match quadrature {
        Quadrature::Midpoint => {
            (0..n).map(|i| ((i as f64 + 0.5) / n as f64, 1. / n as f64)).collect()
        }
        Quadrature::GaussLegendre => gauss_legendre(n)
            .into_iter()
            .map(|(node, weight)| ((1. + node) / 2., weight / 2.))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauss_legendre_integrates_polynomials_of_degree_2n_minus_1() {
        for n in [1, 2, 5, 50, 200] {
            let nodes = nodes(Quadrature::GaussLegendre, n);
            for degree in [0, 1, 2 * n - 1] {
                let sum: f64 = nodes.iter().map(|(t, w)| w * t.powi(degree as i32)).sum();
                assert!(
                    (sum * (degree + 1) as f64 - 1.).abs() < 1e-12,
                    "n = {n}, degree {degree}: {sum}"
                );
            }
        }
    }
}
