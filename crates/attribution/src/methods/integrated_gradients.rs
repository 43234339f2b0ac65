//! Integrated gradients (Sundararajan et al., 2017).

use candle_core::{Shape, Tensor};
use foresee_stats::gauss_legendre;

use crate::baseline::baseline_like;
use crate::error::{Result, check};
use crate::target::Target;
use crate::tensors::sum_per_input;

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
}

impl Default for IntegratedGradients {
    fn default() -> Self {
        Self { steps: 50, quadrature: Quadrature::GaussLegendre }
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
}

/// (x - x') ⊗ ∫₀¹ ∂f(x' + α(x - x'))/∂x dα for a baseline x' of x's shape, or of one input's shape
/// for all; `None` is 0.
///
/// Steps × inputs points are evaluated, no more at once than the target's batch.
///
/// # Errors
/// If an option is outside its range, the baseline does not fit, or as for [`Target::gradient`].
pub fn integrated_gradients<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    baseline: Option<&Tensor>,
    options: &IntegratedGradients,
) -> Result<IntegratedGradientsResult> {
    check(options.steps >= 1, "steps", options.steps, "a number from 1")?;
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
        let gradient = target.unbatched_gradient(&on_path, "the input")?.broadcast_mul(&weights)?;
        integral = integral.index_add(&inputs, &gradient.contiguous()?, 0)?;
    }
    let attribution = (difference * integral)?;
    let at_x = target.numbers(x)?;
    let at_baseline = target.numbers(&baseline)?;
    let convergence_delta = sum_per_input(&attribution)?
        .iter()
        .zip(at_x.iter().zip(at_baseline))
        .map(|(sum, (x, b))| sum - (x - b))
        .collect();
    Ok(IntegratedGradientsResult { attribution, convergence_delta })
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
