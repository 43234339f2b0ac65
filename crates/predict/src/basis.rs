//! Eq. 3, 4 and 7: the three bases of the paper's regression models.

use std::f64::consts::PI;

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use crate::legendre::legendre_all;

/// A basis of 2N+1 functions on [-1, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Eq. 3: xⁿ, n = 0…2N.
    Naive,
    /// Eq. 4: `P_n(x)`, n = 0…2N.
    Legendre,
    /// Eq. 7: 1/2, then cos πnx and sin πnx in turn, n = 1…N.
    Fourier,
}

impl Basis {
    /// All three, in the paper's order.
    pub const ALL: [Self; 3] = [Self::Naive, Self::Legendre, Self::Fourier];

    /// The name in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Legendre => "legendre",
            Self::Fourier => "fourier",
        }
    }

    /// The basis with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|basis| basis.id() == id)
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Naive => "naive polynomials",
            Self::Legendre => "Legendre polynomials",
            Self::Fourier => "Fourier series",
        }
    }

    /// The 2N+1 functions at x.
    ///
    /// ```
    /// use foresee_predict::Basis;
    ///
    /// assert_eq!(Basis::Naive.at(1, 0.5), [1., 0.5, 0.25]);
    /// // P₂(x) = (3·x² - 1)/2.
    /// assert_eq!(Basis::Legendre.at(1, 0.5), [1., 0.5, -0.125]);
    /// assert_eq!(Basis::Fourier.at(1, 0.), [0.5, 1., 0.]);
    /// ```
    pub fn at(self, n: usize, x: f64) -> Vec<f64> {
        match self {
            Self::Naive => (0..=2 * n).map(|power| x.powi(power as i32)).collect(),
            Self::Legendre => legendre_all(2 * n, x),
            Self::Fourier => {
                let waves =
                    (1..=n).flat_map(|n| [(PI * n as f64 * x).cos(), (PI * n as f64 * x).sin()]);
                std::iter::once(0.5).chain(waves).collect()
            }
        }
    }

    /// The name of one function of the basis in a figure.
    pub fn label(self, component: usize) -> String {
        match (self, component) {
            (Self::Naive, i) => format!("x^{i}"),
            (Self::Legendre, i) => format!("P{i}"),
            (Self::Fourier, 0) => "1/2".into(),
            (Self::Fourier, i) => {
                let times = if i <= 2 { String::new() } else { i.div_ceil(2).to_string() };
                format!("{} {times}πx", if i % 2 == 1 { "cos" } else { "sin" })
            }
        }
    }

    /// The Gram matrix `G_ij = ∫ φ_i φ_j` over [-1, 1], by Gauss-Legendre quadrature.
    pub fn gram(self, n: usize) -> DMatrix<f64> {
        let mut gram = DMatrix::zeros(2 * n + 1, 2 * n + 1);
        for (x, weight) in quadrature(4 * n + 40) {
            let values = DVector::from_vec(self.at(n, x));
            gram.ger(weight, &values, &values, 1.);
        }
        gram
    }

    /// The Gram matrix of the functions at length 1, `G_ij/√(G_ii·G_jj)`: the identity for an
    /// orthogonal basis.
    pub fn cosines(self, n: usize) -> DMatrix<f64> {
        let gram = self.gram(n);
        DMatrix::from_fn(gram.nrows(), gram.ncols(), |i, j| {
            gram[(i, j)] / (gram[(i, i)] * gram[(j, j)]).sqrt()
        })
    }
}

/// Nodes and weights of Gauss-Legendre quadrature on [-1, 1] by the eigenvalues of the Jacobi
/// matrix (Golub & Welsch, 1969): exact for polynomials up to degree 2·nodes - 1.
///
/// Newton's method ([`foresee_stats::gauss_legendre`]) gives the same numbers but for rounding.
/// Rounding decides ties, though: under an orthogonal basis most components do not change, and
/// whether they change by 0 or by 1e-17 moves the rank agreement by up to 0.1. Published numbers of
/// the study were computed with these nodes.
pub(crate) fn quadrature(nodes: usize) -> Vec<(f64, f64)> {
    let mut jacobi = DMatrix::zeros(nodes, nodes);
    for i in 1..nodes {
        let i_squared = (i * i) as f64;
        let beta = (i_squared / (4. * i_squared - 1.)).sqrt();
        jacobi[(i, i - 1)] = beta;
        jacobi[(i - 1, i)] = beta;
    }
    let eigen = SymmetricEigen::new(jacobi);
    eigen
        .eigenvalues
        .iter()
        .enumerate()
        .map(|(i, &x)| (x, 2. * eigen.eigenvectors[(0, i)].powi(2)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadrature_is_exact_and_as_newtons_method() {
        // ∫x²² = 2/23, of degree 2·12 - 2.
        let integral: f64 = quadrature(12).into_iter().map(|(x, w)| w * x.powi(22)).sum();
        assert!((integral - 2. / 23.).abs() < 1e-12);
        let mut nodes = quadrature(60);
        nodes.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (ours, newton) in nodes.into_iter().zip(foresee_stats::gauss_legendre(60)) {
            assert!((ours.0 - newton.0).abs() < 1e-14, "{ours:?}, {newton:?}");
            assert!((ours.1 - newton.1).abs() < 1e-14, "{ours:?}, {newton:?}");
        }
    }
}
