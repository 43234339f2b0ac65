//! Eq. 5 and 6: Legendre polynomials.

/// The generalised binomial coefficient C(a, n) = Π_{j<n} (a - j) / n!, for any real a. Eq. 6
/// defines it for integers only, but the upper index of Eq. 5 is a half-integer.
///
/// ```
/// use foresee_predict::binomial;
///
/// assert_eq!(binomial(4., 2), 6.);
/// // (1/2)·(-1/2)/2.
/// assert_eq!(binomial(0.5, 2), -0.125);
/// ```
pub fn binomial(a: f64, n: usize) -> f64 {
    (0..n).map(|j| (a - j as f64) / (j + 1) as f64).product()
}

/// Eq. 5 as the paper writes it: `P_n(x) = 2ⁿ Σ_k xᵏ C(n, k) C((n+k-1)/2, n)`. Its terms are large
/// and of both signs: beyond n ≈ 30 nothing is left of their sum.
pub fn legendre_eq5(n: usize, x: f64) -> f64 {
    let terms = (0..=n).map(|k| {
        x.powi(k as i32) * binomial(n as f64, k) * binomial((n as f64 + k as f64 - 1.) / 2., n)
    });
    2f64.powi(n as i32) * terms.sum::<f64>()
}

/// P₀(x) to `P_n(x)` by Bonnet's recurrence (m+1)·P₍m+1₎ = (2m+1)·x·P_m - m·P₍m-1₎, which is stable
/// on [-1, 1].
///
/// ```
/// use foresee_predict::{legendre_all, legendre_eq5};
///
/// let values = legendre_all(2, 0.5);
/// assert_eq!(values, [1., 0.5, -0.125]);
/// assert!((legendre_eq5(2, 0.5) - values[2]).abs() < 1e-12);
/// ```
pub fn legendre_all(n: usize, x: f64) -> Vec<f64> {
    let mut values = vec![1., x];
    for m in 1..n {
        let (m1, now, before) = (m as f64 + 1., values[m], values[m - 1]);
        values.push(((2. * m1 - 1.) * x * now - (m1 - 1.) * before) / m1);
    }
    values.truncate(n + 1);
    values
}
