//! Correlation of two lists, by their values or by their order.

/// Ranks from 1; equal values share the mean of their ranks. NaN equals nothing, itself included.
///
/// ```
/// assert_eq!(foresee_stats::ranks(&[10., 20., 20., 5.]), [2., 3.5, 3.5, 1.]);
/// ```
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.; values.len()];
    let mut start = 0;
    for ties in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = start as f64 + (ties.len() as f64 + 1.) / 2.;
        ties.iter().for_each(|&i| ranks[i] = rank);
        start += ties.len();
    }
    ranks
}

/// Pearson's correlation Σ(a - ā)(b - b̄)/√(Σ(a - ā)²·Σ(b - b̄)²) of two lists of equal length, in
/// [-1, 1] but for rounding; NaN if one of them is constant.
///
/// # Panics
/// If they are of different lengths.
pub fn pearson(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "a correlation needs lists of equal length");
    let n = a.len() as f64;
    let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>()
    };
    let is_constant = |values: &[f64]| values.iter().all(|v| *v == values[0]);
    if is_constant(a) || is_constant(b) {
        return f64::NAN;
    }
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

/// Spearman's rank correlation of two lists of equal length: [`pearson`] of their [`ranks`]. `None`
/// if one of them is constant, or a value is not finite.
///
/// ```
/// use foresee_stats::{pearson, spearman};
///
/// // x³ grows with x, but not along a line.
/// let (x, cubes) = ([1., 2., 3., 4.], [1., 8., 27., 64.]);
/// assert!(spearman(&x, &cubes).is_some_and(|rho| (rho - 1.).abs() < 1e-12));
/// assert!(pearson(&x, &cubes) < 0.96);
/// assert_eq!(spearman(&x, &[5.; 4]), None);
/// ```
///
/// # Panics
/// If they are of different lengths.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    if !a.iter().chain(b).all(|value| value.is_finite()) {
        return None;
    }
    Some(pearson(&ranks(a), &ranks(b))).filter(|rho| rho.is_finite())
}

/// Kendall's τ-b (1945) of two lists of equal length, in [-1, 1]: 1 if they have the same order, -1
/// if the opposite one. With s_ij the sign of the difference of entries i and j, it is
/// Σ s_ij(a)·s_ij(b)/√(Σ|s_ij(a)|·Σ|s_ij(b)|) over all pairs; ties have s = 0. NaN if one of the
/// lists is constant or has a NaN.
///
/// ```
/// use foresee_stats::kendall;
///
/// // Of six pairs five have the same order in both lists, and one has the opposite order.
/// let tau = kendall(&[1., 2., 3., 4.], &[1., 3., 2., 4.]);
/// assert!((tau - (5. - 1.) / 6.).abs() < 1e-12);
/// ```
///
/// # Panics
/// If they are of different lengths.
pub fn kendall(a: &[f64], b: &[f64]) -> f64 {
    weighted_kendall(a, b, &vec![1.; a.len()])
}

/// [`kendall`] where entry i stands for `weights[i]` copies of itself.
///
/// # Panics
/// If they, or the weights, are of different lengths.
pub fn weighted_kendall(a: &[f64], b: &[f64], weights: &[f64]) -> f64 {
    let lengths = [b.len(), weights.len()];
    assert_eq!(lengths, [a.len(); 2], "a correlation needs lists of equal length");
    if a.iter().chain(b).any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let (mut agree, mut untied_a, mut untied_b) = (0., 0., 0.);
    for i in 0..a.len() {
        for j in i + 1..a.len() {
            let (x, y) = (sign(a[i] - a[j]), sign(b[i] - b[j]));
            let weight = weights[i] * weights[j];
            agree += weight * x * y;
            untied_a += weight * x.abs();
            untied_b += weight * y.abs();
        }
    }
    agree / (untied_a * untied_b).sqrt()
}

/// 0 for a tie, unlike [`f64::signum`].
fn sign(difference: f64) -> f64 {
    match difference {
        d if d > 0. => 1.,
        d if d < 0. => -1.,
        _ => 0.,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_mean_rank() {
        assert_eq!(ranks(&[10., 20., 20., 5.]), [2., 3.5, 3.5, 1.]);
        assert_eq!(ranks(&[7., 7., 7.]), [2., 2., 2.]);
    }

    #[test]
    fn pearson_by_hand() {
        assert!((pearson(&[1., 2., 3.], &[5., 3., 1.]) + 1.).abs() < 1e-15);
        // Deviations -1, 0, 1 and 0, -1, 1: 1/√(2·2).
        assert!((pearson(&[1., 2., 3.], &[2., 1., 3.]) - 0.5).abs() < 1e-15);
        assert!(pearson(&[1., 1.], &[1., 2.]).is_nan());
        // Their mean is rounded.
        assert!(pearson(&[0.1; 3], &[0.1; 3]).is_nan());
    }

    #[test]
    fn spearman_by_hand() {
        // Ranks 1, 2.5, 2.5, 5, 4 and 2, 1, 3, 4.5, 4.5: by hand (1·2 + 2.5·1 + 2.5·3 + 5·4.5 +
        // 4·4.5 - 45) / 9.5 = 15/19.
        let rho = spearman(&[1., 2., 2., 5., 4.], &[3., 1., 4., 9., 9.]).unwrap();
        assert!((rho - 15. / 19.).abs() < 1e-12);
        assert_eq!(spearman(&[1., 2., 3.], &[4., 4., 4.]), None);
        assert_eq!(spearman(&[], &[]), None);
        assert_eq!(spearman(&[f64::NAN; 3], &[1., 2., 3.]), None);
    }

    #[test]
    fn kendall_by_hand() {
        // 5 of 6 pairs agree, 1 does not.
        assert_eq!(kendall(&[1., 2., 3., 4.], &[1., 3., 2., 4.]), 4. / 6.);
        // 5 pairs agree, and one of the 6 is tied in one list.
        let tied = kendall(&[1., 2., 3., 4.], &[1., 2., 2., 4.]);
        assert!((tied - 5. / 30f64.sqrt()).abs() < 1e-12);
        assert!(kendall(&[1., 1.], &[1., 2.]).is_nan());
        assert!(kendall(&[1., f64::NAN, 3.], &[1., 2., 3.]).is_nan());
    }

    #[test]
    fn a_weight_is_a_number_of_copies() {
        // Pairs (1, 2) and (1, 3) agree and count twice, (2, 3) does not: (2 + 2 - 1)/5.
        let weighted = weighted_kendall(&[1., 2., 3.], &[1., 3., 2.], &[2., 1., 1.]);
        assert!((weighted - 0.6).abs() < 1e-15);
        assert_eq!(weighted, kendall(&[1., 1., 2., 3.], &[1., 1., 3., 2.]));
    }
}
