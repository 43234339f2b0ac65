//! Global surrogates: a model that a person can read, fitted to what the black box answers.

use candle_core::Tensor;
use nalgebra::{DMatrix, DVector};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result, check, shape};
use crate::regression::{Fit, Penalty, fit, lasso};
use crate::target::numbers;
use crate::tree::Tree;

/// What kind of model the surrogate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SurrogateKind {
    /// A linear model of at most this many columns: those that enter the lasso first, fitted again
    /// without its penalty.
    Sparse {
        /// From 1.
        columns: usize,
    },
    /// A regression tree.
    Tree {
        /// Splits on a path, from 1.
        depth: usize,
        /// Rows in a leaf, from 1.
        least: usize,
    },
}

/// Options of [`global_surrogate`].
#[derive(Debug, Clone, PartialEq)]
pub struct SurrogateOptions {
    /// Default sparse with 8 columns.
    pub kind: SurrogateKind,
    /// Share of rows that the surrogate does not see and is judged on, between 0 and 1. Default
    /// 0.3.
    pub held_out: f64,
    /// Decides which rows these are. Default 0.
    pub seed: u64,
}

impl Default for SurrogateOptions {
    fn default() -> Self {
        Self { kind: SurrogateKind::Sparse { columns: 8 }, held_out: 0.3, seed: 0 }
    }
}

/// A fitted surrogate.
#[derive(Debug, Clone, PartialEq)]
pub enum SurrogateModel {
    /// Weights are 0 for columns that are not used.
    Sparse(Fit),
    /// A tree.
    Tree(Tree),
}

impl SurrogateModel {
    /// What it answers for a row.
    pub fn predict(&self, x: &[f64]) -> f64 {
        match self {
            Self::Sparse(fit) => fit.predict(x),
            Self::Tree(tree) => tree.predict(x),
        }
    }
}

/// How well a surrogate says what the model says.
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
    /// On rows that it has not seen.
    pub held_out: Fidelity,
}

/// Fits a surrogate to a model's outputs y `[N]` for what a person sees of its inputs, x [N, D]:
/// mean masks of all channels, attributes, columns.
///
/// # Errors
/// If an option is outside its range, the shapes do not fit, or there are too few rows.
pub fn global_surrogate(x: &Tensor, y: &Tensor, options: &SurrogateOptions) -> Result<Surrogate> {
    check(
        options.held_out > 0. && options.held_out < 1.,
        "held_out",
        options.held_out,
        "a share between 0 and 1",
    )?;
    let (n, columns) = match *x.dims() {
        [n, d] if y.dims() == [n] && d > 0 => (n, d),
        _ => {
            return shape(
                "the outputs",
                y.dims(),
                format!("[N] for rows [N, D], which are {:?},", x.dims()),
            );
        }
    };
    let rows: Vec<Vec<f64>> = numbers(x)?.chunks(columns).map(<[f64]>::to_vec).collect();
    let y = numbers(y)?;
    if !rows.iter().flatten().chain(&y).all(|v| v.is_finite()) {
        return Err(Error::Degenerate("a surrogate needs finite rows and outputs"));
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(options.seed));
    let held_out = order.split_off(n - (options.held_out * n as f64).round() as usize);
    if order.len() < 2 || held_out.len() < 2 {
        return Err(Error::Degenerate(
            "a surrogate needs at least two rows to fit and two to be judged on",
        ));
    }
    let model = match options.kind {
        SurrogateKind::Sparse { columns } => {
            check(columns >= 1, "columns", columns, "a number from 1")?;
            SurrogateModel::Sparse(sparse(&rows, &y, &order, columns)?)
        }
        SurrogateKind::Tree { depth, least } => {
            check(depth >= 1, "depth", depth, "a number from 1")?;
            check(least >= 1, "least", least, "a number from 1")?;
            SurrogateModel::Tree(Tree::grow(&rows, &y, order.clone(), depth, least))
        }
    };
    let fidelity = |of: &[usize]| fidelity(&model, &rows, &y, of);
    Ok(Surrogate { fitted: fidelity(&order), held_out: fidelity(&held_out), model })
}

fn fidelity(model: &SurrogateModel, x: &[Vec<f64>], y: &[f64], rows: &[usize]) -> Fidelity {
    let n = rows.len() as f64;
    let mean = rows.iter().map(|&i| y[i]).sum::<f64>() / n;
    let (mut rest, mut variance, mut same) = (0., 0., 0.);
    for &i in rows {
        let predicted = model.predict(&x[i]);
        rest += (y[i] - predicted).powi(2);
        variance += (y[i] - mean).powi(2);
        same += f64::from(u8::from((y[i] > 0.) == (predicted > 0.)));
    }
    Fidelity {
        r2: if variance > 0. { 1. - rest / variance } else { 1. },
        agreement: same / n,
        rows: rows.len(),
    }
}

/// The lasso's path from strong to weak over columns of variance 1; the last support of at most
/// `most` columns, fitted again by least squares.
fn sparse(x: &[Vec<f64>], y: &[f64], rows: &[usize], most: usize) -> Result<Fit> {
    let (n, d) = (rows.len() as f64, x[0].len());
    let column = |j: usize| rows.iter().map(move |&i| x[i][j]);
    let scaled: Vec<(f64, f64)> = (0..d)
        .map(|j| {
            let mean = column(j).sum::<f64>() / n;
            (mean, (column(j).map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
        })
        .collect();
    let z = DMatrix::from_fn(rows.len(), d, |i, j| {
        if scaled[j].1 > 0. { (x[rows[i]][j] - scaled[j].0) / scaled[j].1 } else { 0. }
    });
    let of_rows: Vec<f64> = rows.iter().map(|&i| y[i]).collect();
    let mean = of_rows.iter().sum::<f64>() / n;
    let (gram, moments) =
        (z.tr_mul(&z) / n, z.tr_mul(&DVector::from_column_slice(&of_rows).add_scalar(-mean)) / n);
    let (mut w, mut support) = (DVector::zeros(d), vec![]);
    const STEPS: i32 = 200;
    for step in 1..STEPS {
        w = lasso(
            &gram,
            &moments,
            moments.amax() * 1e-4f64.powf(f64::from(step) / f64::from(STEPS)),
            w,
        );
        let now: Vec<usize> = (0..d).filter(|&j| w[j] != 0.).collect();
        if now.len() > most {
            break;
        }
        support = now;
    }
    let narrow = DMatrix::from_fn(rows.len(), support.len(), |i, j| x[rows[i]][support[j]]);
    // So small a ridge changes nothing but columns that are copies of each other.
    let ridge = 1e-10 * support.iter().map(|&j| n * scaled[j].1.powi(2)).fold(0., f64::max);
    let small = fit(
        &narrow,
        &of_rows,
        &vec![1.; rows.len()],
        Penalty::Ridge { alpha: ridge.max(f64::MIN_POSITIVE) },
    )?;
    let mut weights = vec![0.; d];
    support.iter().zip(&small.weights).for_each(|(&j, &w)| weights[j] = w);
    Ok(Fit { weights, ..small })
}
