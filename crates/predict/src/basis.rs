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

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive polynomials",
            Self::Legendre => "Legendre polynomials",
            Self::Fourier => "Fourier series",
        }
    }

    /// The 2N+1 functions at x.
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

    /// What a function of the basis is called in a figure.
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

/// Nodes and weights of Gauss-Legendre quadrature on [-1, 1] (Golub & Welsch, 1969): exact for
/// polynomials up to degree 2·nodes - 1.
pub fn quadrature(nodes: usize) -> Vec<(f64, f64)> {
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
