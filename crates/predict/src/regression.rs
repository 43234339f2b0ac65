//! The paper's example: regression models whose coefficients are perturbed.

use nalgebra::{DMatrix, DVector, Dyn, SVD};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::basis::Basis;
use crate::error::{Error, Result};

/// A data set: points (x, y) with x in [-1, 1].
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    /// The x.
    pub x: Vec<f64>,
    /// The value with noise at each x.
    pub y: Vec<f64>,
    /// The function's value without noise at each x.
    pub truth: Vec<f64>,
}

impl Points {
    /// `count` points at random x of a random smooth function, with Gaussian noise of standard
    /// deviation `noise`. The function is a sum of five bell curves of random centres, widths and
    /// heights, so it belongs to none of the three bases.
    pub fn draw(count: usize, noise: f64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let bells: Vec<[f64; 3]> = (0..5)
            .map(|_| {
                [
                    rng.random_range(-1. ..1.),
                    rng.random_range(0.15..0.5),
                    rng.random_range(-1. ..1.),
                ]
            })
            .collect();
        let truth_at = |x: f64| {
            bells
                .iter()
                .map(|[at, width, height]| height * (-((x - at) / width).powi(2) / 2.).exp())
                .sum::<f64>()
        };
        let x: Vec<f64> = (0..count).map(|_| rng.random_range(-1. ..1.)).collect();
        let truth: Vec<f64> = x.iter().map(|&x| truth_at(x)).collect();
        let y = truth
            .iter()
            .map(|t| {
                let draw: f64 = StandardNormal.sample(&mut rng);
                t + noise * draw
            })
            .collect();
        Self { x, y, truth }
    }

    fn check(&self) -> Result<()> {
        match self.x.len() == self.y.len() {
            true => Ok(()),
            false => Err(Error::Shape {
                what: "y".into(),
                expected: format!("{}, as many as x", self.x.len()),
                got: self.y.len().to_string(),
            }),
        }
    }
}

/// A regression model f(x) = Σ_i c_i·φ_i(x).
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    basis: Basis,
    n: usize,
    coefficients: Vec<f64>,
}

impl Regression {
    /// The model with these 2N+1 coefficients.
    ///
    /// # Errors
    /// If their number is even.
    pub fn new(basis: Basis, coefficients: Vec<f64>) -> Result<Self> {
        match coefficients.len() % 2 {
            1 => Ok(Self { basis, n: coefficients.len() / 2, coefficients }),
            _ => Err(Error::Shape {
                what: "coefficients".into(),
                expected: "2N+1 of them".into(),
                got: coefficients.len().to_string(),
            }),
        }
    }

    /// Fits the 2N+1 coefficients by least squares (singular value decomposition).
    ///
    /// ```
    /// use foresee_predict::{Basis, Points, Regression};
    ///
    /// // Four points of y = 1 + 2·x.
    /// let y = vec![-1., 0., 2., 3.];
    /// let points = Points { x: vec![-1., -0.5, 0.5, 1.], y: y.clone(), truth: y };
    /// let line = Regression::fit(Basis::Naive, 1, &points)?;
    /// let expected = [1f64, 2., 0.];
    /// assert!(line.coefficients().iter().zip(expected).all(|(c, e)| (c - e).abs() < 1e-9));
    /// assert!((line.at(0.25) - 1.5).abs() < 1e-9);
    /// # Ok::<(), foresee_predict::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there are fewer points than coefficients, a value is not finite, or x and y are not of
    /// one length.
    pub fn fit(basis: Basis, n: usize, points: &Points) -> Result<Self> {
        points.check()?;
        let target = DVector::from_column_slice(&points.y);
        let solver = LeastSquares::new(design(basis, n, &points.x))?;
        Self::new(basis, solver.solve(&target)?)
    }

    /// Refits all other coefficients with one of them held at a value.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), or if there is no such coefficient.
    pub fn refit(&self, points: &Points, held: usize, value: f64) -> Result<Self> {
        Held::new(self, points, held)?.at(value)
    }

    /// The model with δ added to one of its 2N+1 coefficients.
    ///
    /// ```
    /// use foresee_predict::{Basis, Regression};
    ///
    /// let line = Regression::new(Basis::Naive, vec![1., 2., 0.])?;
    /// assert_eq!(line.perturbed(1, 0.5).at(1.), 3.5);
    /// # Ok::<(), foresee_predict::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there is no such coefficient.
    #[must_use]
    pub fn perturbed(&self, component: usize, delta: f64) -> Self {
        let mut coefficients = self.coefficients.clone();
        coefficients[component] += delta;
        Self { coefficients, ..self.clone() }
    }

    /// Its 2N+1 coefficients.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    /// f(x).
    pub fn at(&self, x: f64) -> f64 {
        self.basis.at(self.n, x).iter().zip(&self.coefficients).map(|(phi, c)| phi * c).sum()
    }

    /// The components of f, which are its projections `⟨f, φ_i⟩/‖φ_i‖` over [-1, 1]. In an
    /// orthogonal basis they are `c_i·‖φ_i‖`.
    pub fn components(&self) -> Vec<f64> {
        self.components_with(&self.basis.gram(self.n))
    }

    /// [`components`](Self::components), given the Gram matrix of the basis.
    pub(crate) fn components_with(&self, gram: &DMatrix<f64>) -> Vec<f64> {
        let products = gram * DVector::from_column_slice(&self.coefficients);
        products.iter().enumerate().map(|(i, p)| p / gram[(i, i)].sqrt()).collect()
    }
}

/// Cross-talk of each component: when the component is perturbed, the share of the squared changes
/// of all components that lies in the others. It is `1 - 1/Σ_i ρ_ij²` with the cosines ρ of the
/// basis, and 0 in an orthogonal basis.
///
/// ```
/// use foresee_predict::{Basis, cross_talk};
///
/// // 1 and x² have the cosine ρ = (2/3)/√(2·2/5), so ρ² = 5/9, and x is orthogonal to both.
/// let naive = cross_talk(Basis::Naive, 1);
/// assert!((naive[0] - (1. - 9. / 14.)).abs() < 1e-9 && naive[1].abs() < 1e-9);
/// assert!(cross_talk(Basis::Legendre, 1).iter().all(|share| share.abs() < 1e-9));
/// ```
pub fn cross_talk(basis: Basis, n: usize) -> Vec<f64> {
    let cosines = basis.cosines(n);
    cosines.column_iter().map(|column| 1. - 1. / column.norm_squared()).collect()
}

fn design(basis: Basis, n: usize, x: &[f64]) -> DMatrix<f64> {
    let rows: Vec<f64> = x.iter().flat_map(|&x| basis.at(n, x)).collect();
    DMatrix::from_row_slice(x.len(), 2 * n + 1, &rows)
}

/// A regression with one coefficient held, to be refitted for any value of that one.
#[derive(Debug)]
pub(crate) struct Held {
    basis: Basis,
    held: usize,
    /// The values of the held coefficient's function at the points.
    column: DVector<f64>,
    target: DVector<f64>,
    others: LeastSquares,
}

impl Held {
    /// # Errors
    /// As [`Regression::refit`].
    pub(crate) fn new(fit: &Regression, points: &Points, held: usize) -> Result<Self> {
        if held >= fit.coefficients.len() {
            let expected = format!("below {}", fit.coefficients.len());
            return Err(Error::Shape {
                what: "the held coefficient".into(),
                expected,
                got: held.to_string(),
            });
        }
        points.check()?;
        let design = design(fit.basis, fit.n, &points.x);
        Ok(Self {
            basis: fit.basis,
            held,
            column: design.column(held).into_owned(),
            target: DVector::from_column_slice(&points.y),
            others: LeastSquares::new(design.remove_column(held))?,
        })
    }

    /// # Errors
    /// If a value is not finite.
    pub(crate) fn at(&self, value: f64) -> Result<Regression> {
        let mut coefficients = self.others.solve(&(&self.target - &self.column * value))?;
        coefficients.insert(self.held, value);
        Regression::new(self.basis, coefficients)
    }
}

/// Least squares by the singular value decomposition, for many targets.
#[derive(Debug)]
struct LeastSquares {
    /// `None` without any column: a model of one coefficient that is held.
    svd: Option<SVD<f64, Dyn, Dyn>>,
}

impl LeastSquares {
    fn new(design: DMatrix<f64>) -> Result<Self> {
        if design.ncols() == 0 {
            return Ok(Self { svd: None });
        }
        if design.nrows() < design.ncols() || !design.iter().all(|v| v.is_finite()) {
            return Err(Error::NoFit("the regression"));
        }
        Ok(Self { svd: Some(SVD::new(design, true, true)) })
    }

    fn solve(&self, target: &DVector<f64>) -> Result<Vec<f64>> {
        let Some(svd) = &self.svd else { return Ok(vec![]) };
        if !target.iter().all(|v| v.is_finite()) {
            return Err(Error::NoFit("the regression"));
        }
        let solution = svd.solve(target, 1e-13).map_err(|_| Error::NoFit("the regression"))?;
        Ok(solution.iter().copied().collect())
    }
}
