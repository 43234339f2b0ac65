//! Global surrogates: a model that a person can read, fitted to the outputs of the black box.

mod sparse;
mod tree;

pub use tree::Tree;

use std::fmt;

use candle_core::Tensor;
use foresee_stats::{Fit, is_rounding};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result, check};
use crate::tensors::to_f64;

/// Rows below which surrogates are not worth fitting: 7 to fit and 3 to judge by the default
/// options. [`label_importances`](crate::label_importances) has no result below, and the program
/// leaves surrogates out.
pub const MIN_SURROGATE_ROWS: usize = 10;

/// What kind of model the surrogate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SurrogateKind {
    /// A linear model of at most this many columns: those that enter the lasso first, fitted again
    /// without its penalty.
    Sparse {
        /// From 1.
        max_columns: usize,
    },
    /// A regression tree.
    Tree {
        /// Splits on a path at most, from 1.
        max_depth: usize,
        /// Rows in a leaf at least, from 1.
        min_rows: usize,
    },
}

impl SurrogateKind {
    /// Both kinds, in sizes that a person can read: 8 columns; 3 splits, 5 rows in a leaf.
    pub const ALL: [Self; 2] =
        [Self::Sparse { max_columns: 8 }, Self::Tree { max_depth: 3, min_rows: 5 }];

    /// As in files, whatever the size.
    pub fn id(self) -> &'static str {
        match self {
            Self::Sparse { .. } => "sparse_linear",
            Self::Tree { .. } => "tree",
        }
    }

    /// The kind of this [`id`](Self::id), in the size of [`ALL`](Self::ALL).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }

    /// As in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Sparse { .. } => "sparse linear",
            Self::Tree { .. } => "tree",
        }
    }

    fn check(self) -> Result<()> {
        match self {
            Self::Sparse { max_columns } => {
                check(max_columns >= 1, "max_columns", max_columns, "a number from 1")
            }
            Self::Tree { max_depth, min_rows } => {
                check(max_depth >= 1, "max_depth", max_depth, "a number from 1")?;
                check(min_rows >= 1, "min_rows", min_rows, "a number from 1")
            }
        }
    }
}

/// Options of [`global_surrogate`].
#[derive(Debug, Clone, PartialEq)]
pub struct SurrogateOptions {
    /// Default sparse with 8 columns.
    pub kind: SurrogateKind,
    /// Share of rows that the surrogate is not fitted to and is judged on, between 0 and 1. Default
    /// 0.3.
    pub held_out: f64,
    /// Decides which rows these are. Default 0.
    pub seed: u64,
}

impl Default for SurrogateOptions {
    fn default() -> Self {
        Self { kind: SurrogateKind::Sparse { max_columns: 8 }, held_out: 0.3, seed: 0 }
    }
}

/// A fitted surrogate.
///
/// A linear model is written as its intercept and its terms by size, `-0.250 +1.500 c12 -0.031 c7`,
/// where c12 is column 12; a [`Tree`] as nested conditions.
#[derive(Debug, Clone, PartialEq)]
pub enum SurrogateModel {
    /// Weights are 0 for columns that are not used.
    Sparse(Fit),
    /// A tree.
    Tree(Tree),
}

impl SurrogateModel {
    /// Its prediction for a row.
    pub fn predict(&self, x: &[f64]) -> f64 {
        match self {
            Self::Sparse(fit) => fit.predict(x),
            Self::Tree(tree) => tree.predict(x),
        }
    }
}

impl fmt::Display for SurrogateModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sparse(fit) => {
                let mut used: Vec<(usize, f64)> =
                    fit.weights.iter().copied().enumerate().filter(|(_, w)| *w != 0.).collect();
                used.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
                write!(f, "{:.3}", fit.intercept)?;
                used.iter().try_for_each(|(column, w)| write!(f, " {w:+.3} c{column}"))
            }
            Self::Tree(tree) => tree.fmt(f),
        }
    }
}

/// How well a surrogate predicts the model's outputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fidelity {
    /// Share of the outputs' variance that is explained; 1 for outputs that do not vary.
    pub r2: f64,
    /// Share of rows for which both have the same sign: for logits, the same decision.
    pub agreement: f64,
    /// Rows.
    pub rows: usize,
}

/// A surrogate and its fidelity.
#[derive(Debug, Clone, PartialEq)]
pub struct Surrogate {
    /// The model.
    pub model: SurrogateModel,
    /// On the rows it was fitted to.
    pub fitted: Fidelity,
    /// On the other rows.
    pub held_out: Fidelity,
}

/// Fits a surrogate to a model's outputs y `[N]` and the inputs that a person understands, x [N,
/// D]: mean masks of all channels, attributes, columns.
///
/// # Errors
/// If an option is outside its range, the shapes do not fit, or there are too few rows.
pub fn global_surrogate(x: &Tensor, y: &Tensor, options: &SurrogateOptions) -> Result<Surrogate> {
    options.kind.check()?;
    let data = SplitRows::new(x, y, options.held_out, options.seed)?;
    let model = match options.kind {
        SurrogateKind::Sparse { max_columns } => {
            SurrogateModel::Sparse(data.fit_sparse(max_columns)?)
        }
        SurrogateKind::Tree { max_depth, min_rows } => {
            let rows = data.fitted.clone();
            SurrogateModel::Tree(Tree::grow(&data.x, &data.y, rows, max_depth, min_rows))
        }
    };
    Ok(Surrogate {
        fitted: data.fidelity(&model, &data.fitted),
        held_out: data.fidelity(&model, &data.held_out),
        model,
    })
}

/// Rows, of which some are for fitting and some for judging.
pub(super) struct SplitRows {
    x: Vec<Vec<f64>>,
    y: Vec<f64>,
    fitted: Vec<usize>,
    held_out: Vec<usize>,
}

impl SplitRows {
    pub fn new(x: &Tensor, y: &Tensor, held_out: f64, seed: u64) -> Result<Self> {
        check(held_out > 0. && held_out < 1., "held_out", held_out, "a share between 0 and 1")?;
        let (n, columns) = match *x.dims() {
            [n, d] if y.dims() == [n] && d > 0 => (n, d),
            _ => {
                let expected = format!("[N] for rows [N, D], which are {:?},", x.dims());
                return Err(Error::shape("the outputs", y.dims(), expected));
            }
        };
        let x: Vec<Vec<f64>> = to_f64(x)?.chunks(columns).map(<[f64]>::to_vec).collect();
        let y = to_f64(y)?;
        if !x.iter().flatten().chain(&y).all(|v| v.is_finite()) {
            return Err(Error::Degenerate("a surrogate needs finite rows and outputs"));
        }
        let mut fitted: Vec<usize> = (0..n).collect();
        fitted.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let held_out = fitted.split_off(n - (held_out * n as f64).round() as usize);
        if fitted.len() < 2 || held_out.len() < 2 {
            return Err(Error::Degenerate(
                "a surrogate needs at least two rows to fit and two to be judged on",
            ));
        }
        Ok(Self { x, y, fitted, held_out })
    }

    /// A linear model of at most so many columns.
    pub fn fit_sparse(&self, max_columns: usize) -> Result<Fit> {
        sparse::fit_sparse(&self.x, &self.y, &self.fitted, max_columns)
    }

    fn fidelity(&self, model: &SurrogateModel, rows: &[usize]) -> Fidelity {
        let n = rows.len() as f64;
        let mean = rows.iter().map(|&i| self.y[i]).sum::<f64>() / n;
        let (mut residual, mut variance, mut size) = (0., 0., 0.);
        let mut same_sign = 0.;
        for &i in rows {
            let (y, predicted) = (self.y[i], model.predict(&self.x[i]));
            residual += (y - predicted).powi(2);
            variance += (y - mean).powi(2);
            size += y.powi(2);
            same_sign += f64::from(u8::from((y > 0.) == (predicted > 0.)));
        }
        Fidelity {
            // Of equal values there is no share to explain.
            r2: match (is_rounding(variance, size), is_rounding(residual, size)) {
                (false, _) => 1. - residual / variance,
                (true, true) => 1.,
                (true, false) => f64::NAN,
            },
            agreement: same_sign / n,
            rows: rows.len(),
        }
    }
}
