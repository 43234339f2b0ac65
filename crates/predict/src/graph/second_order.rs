//! The second term of a Taylor expansion, along one direction.

use foresee_stats::Matrix;

/// The change of f along a path from t = 0 to t = 1, to second order, from its `slope` at 0 and a
/// `probe` of it, the change until t = `share`:
///
/// f(1) - f(0) ≈ slope + (probe - share·slope) / share².
///
/// The second term is ½·dᵀHd of the direction d, with the Hessian H, plus `share`/6 of the third
/// derivative. So it is exact where f is quadratic; elsewhere its error is of third order. All are
/// [images, outputs].
///
/// ```
/// use foresee_predict::{Matrix, second_order_change};
///
/// // f(t) = 3·t - 2·t².
/// let (slope, probe) = (Matrix::from_fn(1, 1, |_, _| 3.), Matrix::from_fn(1, 1, |_, _| 0.625));
/// assert_eq!(second_order_change(&slope, &probe, 0.25).get(0, 0), 1.);
/// ```
///
/// # Panics
/// If the tables are of different shapes.
pub fn second_order_change(slope: &Matrix, probe: &Matrix, share: f64) -> Matrix {
    assert_eq!((slope.rows(), slope.columns()), (probe.rows(), probe.columns()));
    Matrix::from_fn(slope.rows(), slope.columns(), |i, k| {
        let slope = slope.get(i, k);
        slope + (probe.get(i, k) - share * slope) / (share * share)
    })
}
