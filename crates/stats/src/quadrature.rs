//! Gauss-Legendre quadrature.

use std::f64::consts::PI;

/// Steps of Newton's method; a handful is enough.
const MAX_ITERATIONS: usize = 100;

/// The n nodes t of Gauss-Legendre quadrature on [-1, 1], ascending, each with its weight w:
/// ∫f ≈ Σ w·f(t), exact for polynomials up to degree 2n - 1. The weights add up to 2.
///
/// The nodes are the zeros of the Legendre polynomial `P_n`, the weights 2/((1 - t²)·P'_n(t)²).
///
/// ```
/// use foresee_stats::gauss_legendre;
///
/// // ∫x⁴ over [-1, 1] is 2/5, and three nodes are exact up to degree 5.
/// let integral: f64 = gauss_legendre(3).iter().map(|(t, w)| w * t.powi(4)).sum();
/// assert!((integral - 0.4).abs() < 1e-12);
/// ```
pub fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    (0..n).map(|i| node(i, n)).collect()
}

/// The i-th zero of `P_n` by Newton's method from Tricomi's estimate, and its weight. `P_n` and
/// `P'_n` come from Bonnet's recurrence k·P_k = (2k-1)·t·P_(k-1) - (k-1)·P_(k-2).
fn node(i: usize, n: usize) -> (f64, f64) {
    let n_f = n as f64;
    let mut t = -(PI * (i as f64 + 0.75) / (n_f + 0.5)).cos();
    let mut slope = 1.;
    for _ in 0..MAX_ITERATIONS {
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
    (t, 2. / ((1. - t * t) * slope * slope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_rules_by_hand() {
        assert_eq!(gauss_legendre(0), []);
        let (third, fifths) = (1. / 3f64.sqrt(), 0.6f64.sqrt());
        let expected: [&[(f64, f64)]; 3] = [
            &[(0., 2.)],
            &[(-third, 1.), (third, 1.)],
            &[(-fifths, 5. / 9.), (0., 8. / 9.), (fifths, 5. / 9.)],
        ];
        for rule in expected {
            for (found, exact) in gauss_legendre(rule.len()).iter().zip(rule) {
                assert!((found.0 - exact.0).abs() < 1e-15, "{found:?}, {exact:?}");
                assert!((found.1 - exact.1).abs() < 4e-15, "{found:?}, {exact:?}");
            }
        }
    }

    #[test]
    fn polynomials_up_to_degree_2n_minus_1_are_exact() {
        for n in [1, 2, 5, 12, 50, 200] {
            let rule = gauss_legendre(n);
            for degree in [0, 1, 2 * n - 2, 2 * n - 1] {
                let sum: f64 = rule.iter().map(|(t, w)| w * t.powi(degree as i32)).sum();
                let exact = if degree % 2 == 0 { 2. / (degree + 1) as f64 } else { 0. };
                assert!((sum - exact).abs() < 1e-13, "n = {n}, degree {degree}: {sum}");
            }
        }
    }
}
