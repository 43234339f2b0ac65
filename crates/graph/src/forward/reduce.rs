//! Functions of all elements along some dimensions.

use candle_core::{D, DType, Tensor};

use super::Forward;
use super::arguments::{axes as axes_of, axis, impossible, integers, kind, wrong_type};
use super::elementwise::magnitude;
use crate::op::{ArgExtreme, Kind, Reduce, Reduction};

/// A function of all elements along some dimensions. The greatest and the least give the gradient
/// to the first element that is it, and are NaN where one is.
pub(super) fn reduce(x: &Tensor, axes: Option<&Tensor>, settings: &Reduce) -> Forward<Tensor> {
    let given = match (axes, &settings.axes) {
        (Some(axes), _) => integers("the axes", axes)?,
        (None, Some(axes)) => axes.iter().map(|&axis| axis as i64).collect(),
        (None, None) => vec![],
    };
    let reduced = match given.is_empty() && !settings.empty_is_nothing {
        true => (0..x.rank()).collect(),
        false => axes_of(&given, x.rank())?,
    };
    let groups = Groups::new(x, reduced)?;
    let result = match kind(x) {
        Kind::Float => of_floats(&groups.rows, settings.kind)?,
        Kind::Int => of_integers(&groups.rows, settings.kind)?,
        Kind::Bool => return Err(wrong_type("the values", x, "numbers")),
    };
    Ok(result.reshape(groups.sizes(settings.keep_dims))?)
}

/// The index of the first of the greatest or the least elements along a dimension; of NaN, if one
/// is there.
pub(super) fn arg_extreme(x: &Tensor, arg: &ArgExtreme) -> Forward<Tensor> {
    let groups = Groups::new(x, vec![axis(arg.axis as i64, x.rank())?])?;
    let indices = first_extremes(&groups.rows, arg.greatest)?.to_dtype(DType::I64)?;
    Ok(indices.reshape(groups.sizes(arg.keep_dims))?)
}

/// A tensor as rows [R, N] of the elements that are reduced to one.
struct Groups {
    rows: Tensor,
    all: Vec<usize>,
    reduced: Vec<usize>,
}

impl Groups {
    fn new(x: &Tensor, reduced: Vec<usize>) -> Forward<Self> {
        let all = x.dims().to_vec();
        let kept = (0..x.rank()).filter(|axis| !reduced.contains(axis));
        let order: Vec<usize> = kept.chain(reduced.iter().copied()).collect();
        let length: usize = reduced.iter().map(|&axis| all[axis]).product();
        let in_order = match order.is_sorted() {
            true => x.clone(),
            false => x.permute(order)?,
        };
        let mut groups = Self { rows: in_order, all, reduced };
        let rows: usize = groups.sizes(true).iter().product();
        groups.rows = groups.rows.reshape((rows, length))?;
        Ok(groups)
    }

    /// The sizes of a result.
    fn sizes(&self, keep_dims: bool) -> Vec<usize> {
        let size = |(axis, &size): (usize, &usize)| match self.reduced.contains(&axis) {
            true => keep_dims.then_some(1),
            false => Some(size),
        };
        self.all.iter().enumerate().filter_map(size).collect()
    }
}

/// Rows [R, N] → `[R]`.
fn of_floats(rows: &Tensor, kind: Reduction) -> Forward<Tensor> {
    let sum = |x: &Tensor| x.sum(1);
    Ok(match kind {
        Reduction::Sum => sum(rows)?,
        Reduction::Mean => (sum(rows)? / rows.dim(1)? as f64)?,
        Reduction::Max => extreme(rows, true)?,
        Reduction::Min => extreme(rows, false)?,
        Reduction::Prod => product(rows)?,
        Reduction::L1 => sum(&magnitude(rows)?)?,
        Reduction::L2 => root(&sum(&rows.sqr()?)?)?,
        Reduction::SumSquare => sum(&rows.sqr()?)?,
        Reduction::LogSum => sum(rows)?.log()?,
        Reduction::LogSumExp => log_sum_exp(rows)?,
    })
}

/// Found by its index, so that its value is exact and its gradient goes to one element.
fn extreme(rows: &Tensor, greatest: bool) -> Forward<Tensor> {
    let indices = first_extremes(rows, greatest)?;
    Ok(rows.contiguous()?.gather(&indices.unsqueeze(1)?, 1)?.squeeze(1)?)
}

/// By halves, so that every gradient is the product of the others, also where one is 0.
fn product(rows: &Tensor) -> Forward<Tensor> {
    let mut left = rows.clone();
    if left.dim(1)? == 0 {
        return Ok(Tensor::ones(left.dim(0)?, left.dtype(), left.device())?);
    }
    while left.dim(1)? > 1 {
        let (n, half) = (left.dim(1)?, left.dim(1)? / 2);
        let pairs = (left.narrow(1, 0, half)? * left.narrow(1, half, half)?)?;
        left = match n % 2 {
            0 => pairs,
            _ => Tensor::cat(&[&pairs, &left.narrow(1, n - 1, 1)?], 1)?,
        };
    }
    Ok(left.squeeze(1)?)
}

/// √x of x from 0 on, with the gradient 0 at 0.
fn root(x: &Tensor) -> Forward<Tensor> {
    let is_zero = x.eq(0f64)?;
    let zero = x.zeros_like()?;
    let positive = is_zero.where_cond(&x.ones_like()?, x)?;
    Ok(is_zero.where_cond(&zero, &positive.sqrt()?)?)
}

fn log_sum_exp(rows: &Tensor) -> Forward<Tensor> {
    if rows.elem_count() == 0 {
        return Ok(rows.sum(1)?.log()?);
    }
    // The result does not depend on the maximum: it needs no gradient.
    let greatest = rows.detach().max_keepdim(D::Minus1)?;
    let is_finite = greatest.abs()?.lt(f64::INFINITY)?;
    let shift = is_finite.where_cond(&greatest, &greatest.zeros_like()?)?;
    let sum = rows.broadcast_sub(&shift)?.exp()?.sum(1)?;
    Ok((sum.log()? + shift.squeeze(1)?)?)
}

/// The indices of the first extremes of rows [R, N]: `[R]`.
fn first_extremes(rows: &Tensor, greatest: bool) -> Forward<Tensor> {
    let (count, length) = rows.dims2()?;
    if length == 0 {
        return Err(impossible("the number of elements", 0, "an extreme is one of them"));
    }
    let indices = match rows.dtype() {
        DType::F64 => find(&rows.flatten_all()?.to_vec1::<f64>()?, length, greatest),
        dtype if dtype.is_float() => {
            let values = rows.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            find(&values, length, greatest)
        }
        _ => {
            let values = rows.to_dtype(DType::I64)?.flatten_all()?.to_vec1::<i64>()?;
            find(&values, length, greatest)
        }
    };
    Ok(Tensor::from_vec(indices, count, rows.device())?)
}

fn find<T: PartialOrd + Copy>(values: &[T], length: usize, greatest: bool) -> Vec<u32> {
    let is_nan = |x: T| x.partial_cmp(&x).is_none();
    let is_better = |x: T, best: T| match greatest {
        true => x > best,
        false => x < best,
    };
    let first = |row: &[T]| {
        let mut best = 0;
        for (i, &x) in row.iter().enumerate().skip(1) {
            if is_better(x, row[best]) || (is_nan(x) && !is_nan(row[best])) {
                best = i;
            }
        }
        best as u32
    };
    values.chunks_exact(length).map(first).collect()
}

/// Rows [R, N] of integers → `[R]`.
fn of_integers(rows: &Tensor, kind: Reduction) -> Forward<Tensor> {
    let (count, length) = rows.dims2()?;
    let values = rows.to_dtype(DType::I64)?.flatten_all()?.to_vec1::<i64>()?;
    let by = |start: i64, f: fn(i64, i64) -> i64| -> Vec<i64> {
        let row = |i: usize| &values[i * length..(i + 1) * length];
        (0..count).map(|i| row(i).iter().fold(start, |so_far, &x| f(so_far, x))).collect()
    };
    let is_empty = length == 0;
    let results = match kind {
        Reduction::Max | Reduction::Min | Reduction::Mean if is_empty => {
            return Err(impossible("the number of elements", 0, "one is needed"));
        }
        Reduction::Sum => by(0, i64::wrapping_add),
        Reduction::Mean => {
            let sums = by(0, i64::wrapping_add);
            sums.into_iter().map(|sum| sum / length as i64).collect()
        }
        Reduction::Max => by(i64::MIN, i64::max),
        Reduction::Min => by(i64::MAX, i64::min),
        Reduction::Prod => by(1, i64::wrapping_mul),
        Reduction::L1 => by(0, |so_far, x| so_far.wrapping_add(x.wrapping_abs())),
        Reduction::SumSquare => by(0, |so_far, x| so_far.wrapping_add(x.wrapping_mul(x))),
        Reduction::L2 | Reduction::LogSum | Reduction::LogSumExp => {
            return Err(wrong_type("the values", rows, "numbers with a fraction"));
        }
    };
    Ok(Tensor::from_vec(results, count, rows.device())?)
}
