//! The paper's example as a study: how predictable is each of the three regression models?

use foresee_stats::Matrix;
use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::basis::{Basis, quadrature};
use crate::definition::{Change, Model, Operation, observe};
use crate::error::{AnyError, Error, Result};
use crate::forecast::{Budget, Forecast, ForecastRule, Unit};
use crate::regression::{Held, Points, Regression, cross_talk};
use crate::study::{Scores, Study};

/// The outputs of a regression model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The components of its function, `⟨f, φ_i⟩/‖φ_i‖`: the function's projections on the basis.
    Components,
    /// Its coefficients, each times `‖φ_i‖`: the result of the fit.
    Coefficients,
}

/// Fits of one basis to many data sets. The data sets are the items, the 2N+1 components the
/// outputs.
#[derive(Debug, Clone)]
pub(crate) struct Fits {
    fits: Vec<Regression>,
    /// `⟨φ_i, φ_j⟩`, whose diagonal holds the squared lengths.
    gram: DMatrix<f64>,
    lengths: Vec<f64>,
    reading: Reading,
}

impl Fits {
    /// Fits each data set.
    ///
    /// # Errors
    /// If a data set has fewer points than coefficients.
    pub fn new(basis: Basis, n: usize, data: &[Points], reading: Reading) -> Result<Self> {
        let gram = basis.gram(n);
        let fits =
            data.iter().map(|points| Regression::fit(basis, n, points)).collect::<Result<_>>()?;
        Ok(Self {
            fits,
            lengths: gram.diagonal().iter().map(|g| g.sqrt()).collect(),
            gram,
            reading,
        })
    }
}

impl Model for Fits {
    type Inputs = ();

    fn infer(&self, (): &()) -> std::result::Result<Matrix, AnyError> {
        let of = |fit: &Regression| match self.reading {
            Reading::Components => fit.components_with(&self.gram),
            Reading::Coefficients => {
                fit.coefficients().iter().zip(&self.lengths).map(|(c, length)| c * length).collect()
            }
        };
        Ok(Matrix::from_rows(&self.fits.iter().map(of).collect::<Vec<_>>()))
    }
}

/// Adds the strength to one coefficient.
struct Shift {
    component: usize,
}

impl Operation<Fits> for Shift {
    type Perturbed = Fits;

    fn name(&self) -> String {
        format!("coefficient {}", self.component)
    }

    fn perturb(&self, model: &Fits, strength: f64) -> std::result::Result<Fits, AnyError> {
        Ok(Fits {
            fits: model.fits.iter().map(|fit| fit.perturbed(self.component, strength)).collect(),
            ..model.clone()
        })
    }
}

/// Adds the strength to one coefficient, holds it there, and refits all others.
struct ShiftAndRefit {
    component: usize,
    /// Of each data set.
    held: Vec<Held>,
}

impl ShiftAndRefit {
    fn new(fits: &Fits, data: &[Points], component: usize) -> Result<Self> {
        let held =
            fits.fits.iter().zip(data).map(|(fit, points)| Held::new(fit, points, component));
        Ok(Self { component, held: held.collect::<Result<_>>()? })
    }
}

impl Operation<Fits> for ShiftAndRefit {
    type Perturbed = Fits;

    fn name(&self) -> String {
        format!("coefficient {}, others refitted", self.component)
    }

    fn perturb(&self, model: &Fits, strength: f64) -> std::result::Result<Fits, AnyError> {
        let refit = |(fit, held): (&Regression, &Held)| {
            held.at(fit.coefficients()[self.component] + strength)
        };
        let fits = model.fits.iter().zip(&self.held).map(refit).collect::<Result<_>>()?;
        Ok(Fits { fits, ..model.clone() })
    }
}

/// The results for one basis and one N.
#[derive(Debug, Clone, PartialEq)]
pub struct BasisReport {
    /// The basis.
    pub basis: Basis,
    /// N; there are 2N+1 coefficients.
    pub n: usize,
    /// Root mean squared error of the fit against the function without noise at the data's x, for
    /// each data set.
    pub errors: Vec<f64>,
    /// Condition number of the basis with functions of length 1: the ratio of the largest to the
    /// smallest eigenvalue of [`Basis::cosines`].
    pub condition: f64,
    /// [`cross_talk`] of each component.
    pub cross_talk: Vec<f64>,
    /// Cross-talk when the other coefficients are refitted, for each data set: the share of the
    /// squared changes that lies in other coefficients than the perturbed one, the mean over
    /// components and steps of 1 - Δ_i²/ΣΔ_j². Coefficients are multiplied by the lengths of their
    /// functions.
    pub refit_cross_talk: Vec<f64>,
    /// How evenly the change by each component is spread over x, `(∫φ²)²/(2·∫φ⁴)`: 1 if it is the
    /// same everywhere, 2/3 for a wave, near 0 for a change at a single place. This is our measure
    /// of what the paper calls easy to imagine.
    pub evenness: Vec<f64>,
    /// Scores of [`ForecastRule::OneComponent`] when a coefficient is shifted and the function is
    /// projected on the basis.
    pub shifted: Scores,
    /// The same scores when all other coefficients are then refitted.
    pub refitted: Scores,
}

/// Settings of the study.
#[derive(Debug, Clone, PartialEq)]
pub struct RegressionStudy {
    /// The N that are compared. Default 2 to 10.
    pub n: Vec<usize>,
    /// Number of data sets. Default 20.
    pub seeds: u64,
    /// Points of a data set. Default 200.
    pub points: usize,
    /// Standard deviation of the noise. Default 0.1.
    pub noise: f64,
    /// Samples of the bootstrap. Default 500.
    pub resamples: usize,
}

impl Default for RegressionStudy {
    fn default() -> Self {
        Self { n: (2..=10).collect(), seeds: 20, points: 200, noise: 0.1, resamples: 500 }
    }
}

/// The steps by which a coefficient is shifted.
const STRENGTHS: [f64; 3] = [0.05, 0.1, 0.2];

impl RegressionStudy {
    /// The data sets of the seeds from 0.
    pub fn data(&self) -> Vec<Points> {
        (0..self.seeds).map(|seed| Points::draw(self.points, self.noise, seed)).collect()
    }

    /// Measures all bases at all N.
    ///
    /// # Errors
    /// If there are fewer points than coefficients, or no data set.
    pub fn run(&self) -> Result<Vec<BasisReport>> {
        let data = self.data();
        if data.is_empty() {
            return Err(Error::Empty("no data set: at least one seed is needed"));
        }
        let cases: Vec<_> =
            self.n.iter().flat_map(|&n| Basis::ALL.map(|basis| (basis, n))).collect();
        cases.into_par_iter().map(|(basis, n)| self.report(basis, n, &data)).collect()
    }

    fn report(&self, basis: Basis, n: usize, data: &[Points]) -> Result<BasisReport> {
        let count = 2 * n + 1;
        let fits = Fits::new(basis, n, data, Reading::Components)?;
        let shifts: Vec<Shift> = (0..count).map(|component| Shift { component }).collect();
        let shifted = observe(&fits, &(), &shifts, &STRENGTHS)?;
        let refits = (0..count)
            .map(|component| ShiftAndRefit::new(&fits, data, component))
            .collect::<Result<Vec<_>>>()?;
        let coefficients = Fits { reading: Reading::Coefficients, ..fits.clone() };
        let refitted = observe(&coefficients, &(), &refits, &STRENGTHS)?;
        let eigenvalues = basis.cosines(n).symmetric_eigenvalues();
        let forecast = one_component(&fits.lengths);
        Ok(BasisReport {
            basis,
            n,
            errors: fits.fits.iter().zip(data).map(|(fit, points)| rmse(fit, points)).collect(),
            condition: eigenvalues.max() / eigenvalues.min().max(f64::EPSILON),
            cross_talk: cross_talk(basis, n),
            refit_cross_talk: (0..data.len())
                .map(|item| share_in_others(&refitted, item))
                .collect(),
            evenness: evenness(basis, n),
            shifted: Study::new(&shifted, self.resamples, 0)?.score(&forecast)?,
            refitted: Study::new(&refitted, self.resamples, 0)?.score(&forecast)?,
        })
    }
}

/// "Only this component changes, by this much."
fn one_component(lengths: &[f64]) -> Forecast {
    let rows: Vec<Vec<f64>> = (0..lengths.len())
        .flat_map(|component| {
            STRENGTHS.map(|delta| {
                (0..lengths.len())
                    .map(|i| if i == component { delta * lengths[i] } else { 0. })
                    .collect()
            })
        })
        .collect();
    Forecast {
        rule: ForecastRule::OneComponent,
        effects: Matrix::from_rows(&rows),
        unit: Unit::Outputs,
        budget: Budget { values: 1, probes: 0 },
    }
}

/// The mean over changes of the share of a data set's squared changes that lies in other components
/// than the perturbed one, whose index is the operation's number.
fn share_in_others(changes: &[Change], item: usize) -> f64 {
    let share = |change: &Change| {
        let row = change.by_item.row(item);
        1. - row[change.number].powi(2) / row.iter().map(|v| v.powi(2)).sum::<f64>()
    };
    changes.iter().map(share).sum::<f64>() / changes.len() as f64
}

/// Root mean squared error of a fit against the function without noise.
fn rmse(fit: &Regression, points: &Points) -> f64 {
    let squares = points.x.iter().zip(&points.truth).map(|(&x, t)| (fit.at(x) - t).powi(2));
    (squares.sum::<f64>() / points.x.len() as f64).sqrt()
}

/// `(∫φ²)²/(2·∫φ⁴)` of each function of a basis.
fn evenness(basis: Basis, n: usize) -> Vec<f64> {
    let mut sums = DMatrix::<f64>::zeros(2 * n + 1, 2);
    for (x, weight) in quadrature(8 * n + 40) {
        for (i, phi) in basis.at(n, x).into_iter().enumerate() {
            sums[(i, 0)] += weight * phi.powi(2);
            sums[(i, 1)] += weight * phi.powi(4);
        }
    }
    sums.row_iter().map(|row| row[0].powi(2) / (2. * row[1])).collect()
}
