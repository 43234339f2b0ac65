//! Concept activation vectors: a linear classifier of activations.

use candle_core::{DType, Tensor};
use nalgebra::{DMatrix, DVector};

use crate::error::{Error, Result, check};
use crate::precision::{ROUNDINGS, epsilon};
use crate::tensors::{check_finite, check_float, check_like, to_f64};

/// Half the distance of the two means along the least squares' weights, from 0 to 1, that is
/// rounding alone.
const LEAST_GAP: f64 = 1e-9;

/// What errors call the other side.
const RANDOM: &str = "the random examples' activation";

/// A concept activation vector (Kim et al., 2018): the unit normal of a plane in the space of a
/// layer's activations. On the side to which it points lie examples of the concept, on the other
/// one random examples.
#[derive(Debug, Clone)]
pub struct ConceptVector {
    /// v, of length 1, of the shape of one activation.
    pub vector: Tensor,
    /// b: an activation z is taken for the concept's where v·z + b > 0.
    pub intercept: f64,
}

impl ConceptVector {
    /// The classifier of activations `concept` [N, ...] against `random` [M, ...]: ridge regression
    /// of y = 1 and y = -1, the w and b that minimise Σ π_i·(y_i - b - w·z_i)² + α·‖w‖². Both sides
    /// weigh the same, π = 1/(2N) or 1/(2M), so that the plane lies halfway between the two means.
    /// α is `penalty` times the total variance Σ π_i·‖z_i - z̄‖²: the direction does not depend on
    /// the activations' unit. The solution is exact and the same every time; it is that of
    /// scikit-learn's `RidgeClassifier(class_weight="balanced")` with alpha = α·(N + M). Captum
    /// and the paper's authors use stochastic gradient descent instead, whose vectors differ from
    /// one run to the next.
    ///
    /// It takes (N + M)² products of activations, of any size.
    ///
    /// # Errors
    /// If the penalty is not above 0, the shapes do not fit each other, a value is not finite, the
    /// activations do not vary, or the two sides do not differ.
    pub fn fit(concept: &Tensor, random: &Tensor, penalty: f64) -> Result<Self> {
        check(penalty > 0. && penalty.is_finite(), "penalty", penalty, "a number above 0")?;
        check_like(RANDOM, random, concept)?;
        let (on, off) = (rows("the concept's activation", concept)?, rows(RANDOM, random)?);
        if on.dims()[1] != off.dims()[1] {
            let expected =
                format!("{:?} as of the concept, for each example,", &concept.dims()[1..]);
            return Err(Error::shape(RANDOM, random.dims(), expected));
        }
        let centre = ((on.mean(0)? + off.mean(0)?)? / 2.)?;
        let share = |rows: &Tensor| Ok::<_, Error>((0.5 / rows.dim(0)? as f64).sqrt());
        let (of_on, of_off) = (share(&on)?, share(&off)?);
        let scaled = |rows: &Tensor, by: f64| rows.broadcast_sub(&centre)? * by;
        let a = Tensor::cat(&[scaled(&on, of_on)?, scaled(&off, of_off)?], 0)?;
        let mut y = vec![of_on; on.dim(0)?];
        y.resize(a.dim(0)?, -of_off);
        let size = to_f64(&centre.sqr()?.sum_all()?)?[0];
        let dual = Dual::solve(&to_f64(&a.matmul(&a.t()?)?)?, y, penalty, |variance| {
            variance > (ROUNDINGS * epsilon(concept.dtype())).powi(2) * (variance + size)
        })?;
        // w = Aᵀ·(solution), of length 1.
        let solution = dual.solution.iter().map(|s| s / dual.length).collect::<Vec<_>>();
        let unit =
            Tensor::from_vec(solution, (1, a.dim(0)?), a.device())?.matmul(&a)?.squeeze(0)?;
        let intercept = -to_f64(&(&unit * &centre)?.sum_all()?)?[0];
        let vector = unit.to_dtype(concept.dtype())?.reshape(&concept.dims()[1..])?;
        Ok(Self { vector, intercept })
    }

    /// The share of examples that it puts on their side, given their activations `concept` [N, ...]
    /// and `random` [M, ...]: the mean of both sides' shares. 0.5 is chance, whatever N and M.
    ///
    /// # Errors
    /// If the activations do not fit the vector.
    pub fn accuracy(&self, concept: &Tensor, random: &Tensor) -> Result<f64> {
        Ok((self.share(concept, 1.)? + self.share(random, -1.)?) / 2.)
    }

    /// The share of activations on a side of the plane.
    fn share(&self, activations: &Tensor, side: f64) -> Result<f64> {
        let rows = rows("the activation", activations)?;
        if activations.dims()[1..] != *self.vector.dims() {
            let expected = format!("[N, ...] of the vector's {:?}", self.vector.dims());
            return Err(Error::shape("the activation", activations.dims(), expected));
        }
        let vector = self.vector.to_dtype(DType::F64)?.flatten_all()?.unsqueeze(1)?;
        let along = to_f64(&rows.matmul(&vector)?)?;
        let right = along.iter().filter(|v| side * (**v + self.intercept) > 0.).count();
        Ok(right as f64 / along.len() as f64)
    }
}

/// Activations as rows [N, D] in `f64`.
pub(super) fn rows(what: &'static str, activations: &Tensor) -> Result<Tensor> {
    check_float(what, activations)?;
    if activations.rank() < 2 || activations.elem_count() == 0 {
        return Err(Error::shape(what, activations.dims(), "[N, ...], N from 1,"));
    }
    let rows = activations.detach().to_dtype(DType::F64)?.flatten_from(1)?.contiguous()?;
    check_finite(rows, || what.into())
}

/// The solution s of (K + α·1)·s = y, from which the ridge's weights are Aᵀ·s for K = A·Aᵀ.
struct Dual {
    solution: DVector<f64>,
    /// ‖Aᵀ·s‖.
    length: f64,
}

impl Dual {
    /// For K, row by row; its trace is the total variance.
    fn solve(
        kernel: &[f64],
        y: Vec<f64>,
        penalty: f64,
        varies: impl Fn(f64) -> bool,
    ) -> Result<Self> {
        let y = DVector::from_vec(y);
        let kernel = DMatrix::from_row_slice(y.len(), y.len(), kernel);
        let variance = kernel.trace();
        if !varies(variance) {
            return Err(Error::Degenerate(
                "there is no concept activation vector: the activations do not vary",
            ));
        }
        let alpha = DMatrix::from_diagonal_element(y.len(), y.len(), penalty * variance);
        let solution = (&kernel + alpha).cholesky().map(|cholesky| cholesky.solve(&y)).ok_or(
            Error::Degenerate("a concept activation vector's penalty is too small: take more"),
        )?;
        let along = &kernel * &solution;
        let gap = y.dot(&along);
        if gap.is_nan() || gap <= LEAST_GAP {
            return Err(Error::Degenerate(
                "there is no concept activation vector: the activations of the concept and of the \
                 random examples have the same mean",
            ));
        }
        let length = solution.dot(&along).sqrt();
        Ok(Self { solution, length })
    }
}
