//! What stands for a pruned channel: a linear function of those that are kept.

use nalgebra::{DMatrix, DVector};

use crate::error::{Error, Result};

/// Added to the diagonal of a covariance before it is inverted, relative to the diagonal's mean;
/// more if that is not enough.
const RIDGE: f64 = 1e-6;

/// What each of C channels does, as a function of those that remain: z ≈ S·z + t.
pub(crate) struct Roles {
    /// S `[C][C]`.
    weights: DMatrix<f64>,
    /// t `[C]`.
    offsets: DVector<f64>,
}

impl Roles {
    /// Each channel plays its own.
    pub fn new(channels: usize) -> Self {
        let (weights, offsets) = (DMatrix::identity(channels, channels), DVector::zeros(channels));
        Self { weights, offsets }
    }

    /// Channel a hands all that it does to b, by its regression: z_a ≈ s·z_b + t with
    /// s = Σ_ab/Σ_bb and t = μ_a - s·μ_b. Returns s.
    pub fn hand_over(
        &mut self,
        [a, b]: [usize; 2],
        means: &[f64],
        covariance: impl Fn(usize, usize) -> f64,
    ) -> f64 {
        let variance = covariance(b, b);
        let s = if variance > 0. { covariance(a, b) / variance } else { 0. };
        let role = self.weights.column(a).clone_owned();
        self.weights.column_mut(b).axpy(s, &role, 1.);
        self.offsets.axpy(means[a] - s * means[b], &role, 1.);
        self.weights.column_mut(a).fill(0.);
        s
    }

    /// Channel a is replaced by a number.
    pub fn fix(&mut self, a: usize, number: f64) {
        let role = self.weights.column(a).clone_owned();
        self.offsets.axpy(number, &role, 1.);
        self.weights.column_mut(a).fill(0.);
    }

    /// The rows of S of these channels, with the columns of the kept ones.
    pub fn weights(&self, rows: &[usize], kept: &[usize]) -> Vec<Vec<f64>> {
        let row = |&row: &usize| kept.iter().map(|&column| self.weights[(row, column)]).collect();
        rows.iter().map(row).collect()
    }

    /// t of these channels.
    pub fn offsets(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().map(|&row| self.offsets[row]).collect()
    }
}

/// The remaining channel that correlates most, by ρ or with `absolute` |ρ|; of equal ones the
/// first.
pub(crate) fn most_correlated(
    remaining: &[bool],
    absolute: bool,
    rho: impl Fn(usize) -> f64,
) -> Option<usize> {
    let rho = |other: usize| if absolute { rho(other).abs() } else { rho(other) };
    let others = (0..remaining.len()).filter(|&other| remaining[other]);
    others.max_by(|&a, &b| rho(a).total_cmp(&rho(b)).then(b.cmp(&a)))
}

/// `S = Σ[P, Q]·Σ[Q, Q]⁻¹` and t = μ_P - S·μ_Q of the pruned channels P and the kept ones Q: rows
/// of S, and t.
pub(crate) fn least_squares(
    means: &[f64],
    covariance: &[Vec<f64>],
    pruned: &[usize],
    kept: &[usize],
) -> Result<(Vec<Vec<f64>>, Vec<f64>)> {
    let with_pruned =
        DMatrix::from_fn(kept.len(), pruned.len(), |q, p| covariance[kept[q]][pruned[p]]);
    let solved = regress(covariance, kept, &with_pruned)?;
    let row = |p: usize| solved.column(p).iter().copied().collect::<Vec<f64>>();
    let weights: Vec<Vec<f64>> = (0..pruned.len()).map(row).collect();
    let offset = |(row, &p): (&Vec<f64>, &usize)| means[p] - dot(row, kept, means);
    let offsets = weights.iter().zip(pruned).map(offset).collect();
    Ok((weights, offsets))
}

/// Σ over the kept channels of a weight times a value.
pub(crate) fn dot(weights: &[f64], kept: &[usize], values: &[f64]) -> f64 {
    kept.iter().zip(weights).map(|(&q, w)| w * values[q]).sum()
}

/// `(A[Q, Q] + ridge)⁻¹·B`. Fewer samples than channels leave a covariance that is singular but for
/// its rounding: the ridge grows until it is above that.
pub(crate) fn regress(a: &[Vec<f64>], kept: &[usize], b: &DMatrix<f64>) -> Result<DMatrix<f64>> {
    let n = kept.len();
    if n == 0 {
        return Err(Error::NothingLeft);
    }
    let mean: f64 = kept.iter().map(|&q| a[q][q]).sum::<f64>() / n as f64;
    if !mean.is_finite() {
        return Err(Error::NotFinite("the covariance of the channels"));
    }
    [1., 1e1, 1e2, 1e3, 1e4]
        .into_iter()
        .find_map(|times| {
            let ridge = (times * RIDGE * mean).max(f64::MIN_POSITIVE);
            let matrix = DMatrix::from_fn(n, n, |i, j| {
                a[kept[i]][kept[j]] + if i == j { ridge } else { 0. }
            });
            matrix.cholesky()
        })
        .map(|cholesky| cholesky.solve(b))
        .ok_or(Error::NotFinite("the covariance of the channels"))
}
