//! What every method does with tensors: run them in batches, read their numbers, refuse overflow.

use candle_core::{DType, Tensor};

use crate::error::{Error, Result};

/// Applies `f` to at most `batch` rows of x at once and concatenates the results.
pub(crate) fn in_batches(
    x: &Tensor,
    batch: usize,
    f: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if x.dim(0)? <= batch {
        return f(x);
    }
    let parts = batches(x, batch)?.iter().map(f).collect::<Result<Vec<_>>>()?;
    Ok(Tensor::cat(&parts, 0)?)
}

/// Rows of x, at most `batch` at once.
pub(crate) fn batches(x: &Tensor, batch: usize) -> Result<Vec<Tensor>> {
    let n = x.dim(0)?;
    (0..n).step_by(batch).map(|start| Ok(x.narrow(0, start, batch.min(n - start))?)).collect()
}

/// Refuses inputs that are no batch [B, ...] of at least one, and types that cannot hold a
/// perturbation.
pub(crate) fn check_input(x: &Tensor) -> Result<()> {
    check_float("the input", x)?;
    match *x.dims() {
        [] | [_] | [0, ..] => {
            Err(Error::shape("the input", x.dims(), "a batch [B, ...], B from 1,"))
        }
        _ => Ok(()),
    }
}

/// Refuses integers: they cannot hold a perturbation, a gradient, or a share of either.
pub(crate) fn check_float(what: &'static str, t: &Tensor) -> Result<()> {
    match t.dtype().is_float() {
        true => Ok(()),
        false => Err(Error::Type { what, got: t.dtype().as_str(), expected: "f32 or f64" }),
    }
}

/// Refuses what cannot be added to x or multiplied by it: another type or another device.
pub(crate) fn check_like(what: &'static str, t: &Tensor, x: &Tensor) -> Result<()> {
    if t.dtype() != x.dtype() {
        let expected = x.dtype().as_str();
        return Err(Error::Type { what, got: t.dtype().as_str(), expected });
    }
    match t.device().same_device(x.device()) {
        true => Ok(()),
        false => Err(Error::Device { what }),
    }
}

/// Refuses results that have not one row for each input.
pub(crate) fn check_rows(result: &Tensor, inputs: usize) -> Result<()> {
    match result.dims().first() {
        Some(&rows) if rows == inputs => Ok(()),
        _ => Err(Error::Rows { inputs, shape: result.dims().to_vec() }),
    }
}

/// The tensor itself, or an error that names it as `what` if a value is NaN or infinite.
pub(crate) fn check_finite(t: Tensor, what: impl FnOnce() -> String) -> Result<Tensor> {
    // 0 times a value that is not finite is not 0.
    match (t.to_dtype(DType::F64)? * 0.)?.sum_all()?.to_scalar::<f64>()? == 0. {
        true => Ok(t),
        false => Err(Error::NotFinite(what())),
    }
}

/// All entries, row by row.
pub(crate) fn to_f64(t: &Tensor) -> Result<Vec<f64>> {
    Ok(t.flatten_all()?.to_dtype(DType::F64)?.to_vec1()?)
}

/// One number for each row of a batch of x's rank, [n, 1, ..., 1].
pub(crate) fn column(values: Vec<f64>, x: &Tensor) -> Result<Tensor> {
    let mut dims = vec![1; x.rank()];
    dims[0] = values.len();
    Ok(Tensor::from_vec(values, dims, x.device())?.to_dtype(x.dtype())?)
}

/// The sum of each input's entries, `[B]`.
pub(crate) fn sum_per_input(t: &Tensor) -> Result<Vec<f64>> {
    if t.rank() < 2 {
        return to_f64(t);
    }
    to_f64(&t.to_dtype(DType::F64)?.flatten_from(1)?.sum(1)?)
}
