//! Integrated gradients (Sundararajan et al., 2017).

use candle_core::{Shape, Tensor};

use crate::error::{Result, check, shape};
use crate::target::{Target, sums};

/// How the integral over the path becomes a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quadrature {
    /// Gauss and Legendre's points and weights, as Captum by default.
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
pub struct Integrated {
    /// Of x's shape.
    pub attribution: Tensor,
    /// For each input, the sum of its attribution minus (f(x) - f(baseline)): 0 for an exact
    /// integral.
    pub gap: Vec<f64>,
}

/// (x - x') ⊗ ∫₀¹ ∂f(x' + α(x - x'))/∂x dα for a baseline x' of x's shape, or of one input's shape
/// for all; `None` is 0.
///
/// Steps × inputs points are evaluated, no more at once than the target's batch.
///
/// # Errors
/// If an option is outside its range, the baseline does not fit, or as of [`Target::gradient`].
pub fn integrated_gradients<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    baseline: Option<&Tensor>,
    options: &IntegratedGradients,
) -> Result<Integrated> {
    check(options.steps >= 1, "steps", options.steps, "a number from 1")?;
    let x = &x.detach().contiguous()?;
    let baseline = baseline_of(x, baseline)?;
    let away = (x - &baseline)?;
    let points = nodes(options.quadrature, options.steps);
    let total = x.dim(0)? * options.steps;
    let mut integral = x.zeros_like()?;
    for start in (0..total).step_by(target.batch_size()) {
        let rows = start..(start + target.batch_size()).min(total);
        let inputs =
            Tensor::from_iter(rows.clone().map(|row| (row / options.steps) as u32), x.device())?;
        let of_step = |value: fn(&(f64, f64)) -> f64| -> Result<Tensor> {
            let values: Vec<f64> =
                rows.clone().map(|row| value(&points[row % options.steps])).collect();
            let mut column = vec![1; x.rank()];
            column[0] = values.len();
            Ok(Tensor::from_vec(values, Shape::from(column), x.device())?.to_dtype(x.dtype())?)
        };
        let on_path = (baseline.index_select(&inputs, 0)?
            + away.index_select(&inputs, 0)?.broadcast_mul(&of_step(|p| p.0)?)?)?;
        let gradient =
            target.gradient_at_once(&on_path, "the input")?.broadcast_mul(&of_step(|p| p.1)?)?;
        integral = integral.index_add(&inputs, &gradient.contiguous()?, 0)?;
    }
    let attribution = (away * integral)?;
    let (at_x, at_baseline) = (target.numbers(x)?, target.numbers(&baseline)?);
    let gap = sums(&attribution)?
        .iter()
        .zip(at_x.iter().zip(at_baseline))
        .map(|(sum, (x, b))| sum - (x - b))
        .collect();
    Ok(Integrated { attribution, gap })
}

/// A baseline of x's shape.
pub(crate) fn baseline_of(x: &Tensor, baseline: Option<&Tensor>) -> Result<Tensor> {
    match baseline {
        None => Ok(x.zeros_like()?),
        Some(b)
            if b.dims() == x.dims()
                || b.dims() == &x.dims()[1..]
                || (b.rank() == x.rank() && b.dims()[0] == 1 && b.dims()[1..] == x.dims()[1..]) =>
        {
            Ok(b.detach().broadcast_as(x.shape())?.contiguous()?)
        }
        Some(b) => {
            shape("the baseline", b.dims(), format!("{:?} or {:?}", x.dims(), &x.dims()[1..]))
        }
    }
}

/// Points in [0, 1] and their weights, whose sum is 1.
fn nodes(quadrature: Quadrature, n: usize) -> Vec<(f64, f64)> {
    match quadrature {
        Quadrature::Midpoint => {
            (0..n).map(|i| ((i as f64 + 0.5) / n as f64, 1. / n as f64)).collect()
        }
        Quadrature::GaussLegendre => (0..n).map(|i| legendre_node(i, n)).collect(),
    }
}

/// The i-th zero of P_n by Newton's method, from Tricomi's estimate, and its weight 2/((1 -
/// t²)·P'_n(t)²), both moved from [-1, 1] to [0, 1].
fn legendre_node(i: usize, n: usize) -> (f64, f64) {
    let n_f = n as f64;
    let mut t = -(std::f64::consts::PI * (i as f64 + 0.75) / (n_f + 0.5)).cos();
    let mut slope = 1.;
    for _ in 0..100 {
        let (mut previous, mut p) = (1., t);
        for k in 2..=n {
            let k = k as f64;
            (previous, p) = (p, ((2. * k - 1.) * t * p - (k - 1.) * previous) / k);
        }
        slope = n_f * (t * p - previous) / (t * t - 1.);
        let step = p / slope;
        t -= step;
        if step.abs() < 1e-15 {
            break;
        }
    }
    ((1. + t) / 2., 1. / ((1. - t * t) * slope * slope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauss_and_legendres_rule_integrates_polynomials_of_degree_2n_minus_1() {
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
