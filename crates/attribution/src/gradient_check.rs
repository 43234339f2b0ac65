//! Whether a model's gradient is that of its values: candle has wrong gradients for some operations
//! and none for others, and says nothing where another path goes past them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Tensor};

use crate::error::{Error, Result};
use crate::noise::gaussian;
use crate::precision::epsilon;
use crate::tensors::{sum_per_input, to_f64};

/// Directions that are tried, each from a point of its own and all in one batch: candle has
/// gradients that are right for one row only.
const DIRECTIONS: usize = 8;
/// Directions of the largest differences, which do not count: a kink such as a ReLU's or a
/// maximum's may be near a point.
const LEFT_OUT: usize = 2;
/// By how much the points lie beside the inputs, in their entries' sizes: at 0, where images are
/// often, a ReLU has no derivative to compare with.
const BESIDE: f64 = 0.3;
/// A distance that is right whatever the rounding.
const CLOSE: f64 = 1e-3;
/// A distance that is right if the quotients of other steps lie as far apart.
const NEAR: f64 = 0.05;
/// How much farther than these the gradient may be.
const TIMES: f64 = 4.;

/// What has been found of a model, which copies of a [`Target`](crate::Target) share: for which
/// outputs, inputs and numbers of rows its gradient is right, and that the rows of a batch do not
/// influence each other.
#[derive(Debug, Clone, Default)]
pub struct ModelChecks {
    off: bool,
    /// Whether all gradients are known to be right.
    gradients_known: bool,
    known: Arc<Mutex<HashSet<Known>>>,
}

/// What a finding is for. candle can be right for some shapes and numbers of rows only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Known {
    /// The gradient, in so many rows at once; or that rows do not influence each other.
    gradient_of: Option<usize>,
    /// The first layer that is differentiated, and the number of layers; 0 of other models.
    part: (usize, usize),
    output: usize,
    shape: Vec<usize>,
    dtype: DType,
}

impl Known {
    pub fn new(
        gradient_of: Option<usize>,
        part: (usize, usize),
        output: usize,
        x: &Tensor,
    ) -> Self {
        let gradient_of = gradient_of.map(|rows| rows.min(DIRECTIONS));
        Self { gradient_of, part, output, shape: x.dims()[1..].to_vec(), dtype: x.dtype() }
    }
}

impl ModelChecks {
    /// Nothing is checked.
    pub fn off() -> Self {
        Self { off: true, ..Self::default() }
    }

    /// The rows alone: tests compare the gradients of all operations with differences.
    pub(crate) fn of_rows() -> Self {
        Self { gradients_known: true, ..Self::default() }
    }

    pub(crate) fn wants(&self, known: &Known) -> bool {
        if self.off || (self.gradients_known && known.gradient_of.is_some()) {
            return false;
        }
        // A thread that panicked while it held the lock has changed nothing by halves.
        !self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(known)
    }

    pub(crate) fn set(&self, known: Known) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(known);
    }
}

/// Compares f of the first and the last input in a batch with f of each alone. Whether the batch's
/// values differ, so that it says something.
pub(crate) fn compare_rows(batch: &Tensor, first: &Tensor, last: &Tensor) -> Result<bool> {
    let (values, dtype) = (to_f64(batch)?, batch.dtype());
    let scale = values.iter().fold(0f64, |a, b| a.max(b.abs()));
    let ends = [(values[0], first), (values[values.len() - 1], last)];
    for (batch, alone) in ends {
        let alone = to_f64(alone)?[0];
        // A softmax that is shut makes much of the rounding before it.
        if (batch - alone).abs() > epsilon(dtype).cbrt() * scale.max(alone.abs()) {
            return Err(Error::RowsDepend { batch, alone });
        }
    }
    Ok(values.iter().any(|value| *value != values[0]))
}

/// Steps of the differences, in the entries' sizes, the most promising first.
fn steps(dtype: DType) -> &'static [f64] {
    match dtype {
        DType::F64 => &[1e-5, 1e-4, 1e-6, 1e-3, 1e-2],
        DType::F32 => &[1e-2, 3e-3, 1e-3, 3e-2, 3e-4, 1e-1, 1e-4],
        _ => &[1e-1, 3e-1, 3e-2, 1.],
    }
}

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Finding {
    Right,
    /// The gradient says that f does not change by more than its rounding, and no differences
    /// contradict.
    Flat,
    /// The gradient's distance from the differences, relative to the larger of the two.
    Off(f64),
    /// The differences of no two steps agree.
    Unclear,
}

/// Central differences along random directions beside the gradient along them.
pub(crate) struct Comparison {
    /// [DIRECTIONS, ...]
    points: Tensor,
    directions: Tensor,
    along: Vec<f64>,
    tried: Vec<Step>,
}

struct Step {
    quotients: Vec<f64>,
    /// The change of a quotient that rounding of f can make.
    rounding: f64,
}

impl Comparison {
    /// Near the inputs x [B, ...], of which the points take turns.
    pub fn new(
        x: &Tensor,
        values: impl Fn(&Tensor) -> Result<Vec<f64>>,
        gradient: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Self> {
        let rows = (0..DIRECTIONS).map(|i| (i % x.dim(0).unwrap_or(1).max(1)) as u32);
        let inputs =
            x.detach().contiguous()?.index_select(&Tensor::from_iter(rows, x.device())?, 0)?;
        let scales = scales(&inputs)?;
        let noise =
            |sample| -> Result<Tensor> { Ok((gaussian(&inputs, 0, sample, |_| 1.)? * &scales)?) };
        let beside = (&inputs + (noise(1)? * BESIDE)?)?;
        // Beside its inputs a function such as a square root may not be defined.
        let is_defined = values(&beside)?.iter().all(|f| f.is_finite());
        let found = match is_defined.then(|| gradient(&beside)) {
            None | Some(Err(Error::NotFinite(_))) => None,
            Some(found) => Some((beside, found?)),
        };
        let (points, gradient) = match found {
            Some(found) => found,
            None => (inputs.clone(), gradient(&inputs)?),
        };
        let directions = noise(0)?;
        let along =
            sum_per_input(&(gradient.to_dtype(DType::F64)? * directions.to_dtype(DType::F64)?)?)?;
        Ok(Self { points, directions, along, tried: vec![] })
    }

    /// Steps until one settles it.
    pub fn finding(mut self, values: impl Fn(&Tensor) -> Result<Vec<f64>>) -> Result<Finding> {
        for &size in steps(self.points.dtype()) {
            self.try_step(size, &values)?;
            if self.is_right() {
                return Ok(Finding::Right);
            }
        }
        if self.tried.is_empty() {
            return Err(Error::NotFinite("the model near its inputs".into()));
        }
        let agreeing = (0..self.tried.len()).filter(|&i| !self.is_flat(i) && self.apart(i) <= NEAR);
        let best = agreeing.min_by(|&i, &j| self.apart(i).total_cmp(&self.apart(j)));
        Ok(match best {
            Some(i) => Finding::Off(self.away(i)),
            None if (0..self.tried.len()).all(|i| self.gradient_is_flat(i)) => Finding::Flat,
            None => Finding::Unclear,
        })
    }

    /// All steps: the least distance.
    pub fn least(mut self, values: impl Fn(&Tensor) -> Result<Vec<f64>>) -> Result<f64> {
        for &size in steps(self.points.dtype()) {
            self.try_step(size, &values)?;
        }
        (0..self.tried.len())
            .map(|i| self.away(i))
            .min_by(f64::total_cmp)
            .ok_or_else(|| Error::NotFinite("the model near its inputs".into()))
    }

    /// A step at which f is not finite counts as not tried.
    fn try_step(&mut self, size: f64, values: impl Fn(&Tensor) -> Result<Vec<f64>>) -> Result<()> {
        let change = (&self.directions * size)?;
        let up = values(&(&self.points + &change)?)?;
        let down = values(&(&self.points - &change)?)?;
        let largest = up.iter().chain(&down).fold(0f64, |a, b| a.max(b.abs()));
        let quotients: Vec<f64> =
            up.iter().zip(down).map(|(up, down)| (up - down) / (2. * size)).collect();
        if quotients.iter().all(|q| q.is_finite()) {
            let rounding = 32. * epsilon(self.points.dtype()) * largest / size;
            self.tried.push(Step { quotients, rounding });
        }
        Ok(())
    }

    /// The gradient's distance from a step's quotients.
    fn away(&self, i: usize) -> f64 {
        distance(&self.tried[i].quotients, &self.along)
    }

    /// The distance of a step's quotients from those of the step that agrees best.
    fn apart(&self, i: usize) -> f64 {
        (0..self.tried.len())
            .filter(|&j| j != i)
            .map(|j| distance(&self.tried[i].quotients, &self.tried[j].quotients))
            .fold(f64::INFINITY, f64::min)
    }

    fn is_right(&self) -> bool {
        (0..self.tried.len()).any(|i| {
            let (away, apart) = (self.away(i), self.apart(i));
            away <= CLOSE || (away <= NEAR && apart.is_finite() && away <= TIMES * apart)
        })
    }

    /// Whether both may be rounding alone.
    fn is_flat(&self, i: usize) -> bool {
        self.gradient_is_flat(i) && size(&self.tried[i].quotients) <= self.rounding(i)
    }

    /// Whether f would change along the gradient by no more than its rounding.
    fn gradient_is_flat(&self, i: usize) -> bool {
        size(&self.along) <= self.rounding(i)
    }

    fn rounding(&self, i: usize) -> f64 {
        self.tried[i].rounding * (DIRECTIONS as f64).sqrt()
    }
}

/// The size of each entry, or where it is 0 the root mean square of all: columns of a table can
/// have very different units.
fn scales(inputs: &Tensor) -> Result<Tensor> {
    let square = to_f64(&inputs.to_dtype(DType::F64)?.sqr()?.mean_all()?)?[0];
    let scale = if square > 0. { square.sqrt() } else { 1. };
    let sizes = inputs.abs()?;
    Ok(sizes.eq(0f64)?.where_cond(&(inputs.ones_like()? * scale)?, &sizes)?)
}

fn size(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// Relative to the larger of the two, without the [`LEFT_OUT`] largest differences; 0 if there is
/// none left.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let mut differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| (a - b).abs()).collect();
    differences.sort_by(f64::total_cmp);
    differences.truncate(a.len() - LEFT_OUT);
    let share = (differences.len() as f64 / a.len() as f64).sqrt();
    match size(&differences) {
        0. => 0.,
        away => away / (share * size(a).max(size(b))),
    }
}
