//! Matrix products.

use candle_core::Tensor;

use super::arguments::{Common, broadcast_to, check_float, check_size};
use super::known_gradient::with_gradients;
use super::{Forward, Inputs};
use crate::dims::broadcast;
use crate::error::OpError;
use crate::op::Gemm;

/// a·b as NumPy multiplies them: a [.., M, K], b [.., K, N] → [.., M, N], where the dimensions
/// before the last two are broadcast to each other. A vector is a row a or a column b, and its
/// dimension of size 1 is left out of the result.
pub(super) fn matmul(a: &Tensor, b: &Tensor) -> Forward<Tensor> {
    check_float("a", a)?;
    check_float("b", b)?;
    let common = Common::of("b", &[a, b])?;
    let (a, b) = (common.convert(a)?, common.convert(b)?);
    let (row, column) = (a.rank() == 1, b.rank() == 1);
    let y = match (row, column) {
        (true, true) => batches(&a.unsqueeze(0)?, &b.unsqueeze(1)?)?.flatten_all()?.squeeze(0)?,
        (true, false) => {
            let y = batches(&a.unsqueeze(0)?, &b)?;
            y.squeeze(y.rank() - 2)?
        }
        (false, true) => {
            let y = batches(&a, &b.unsqueeze(1)?)?;
            y.squeeze(y.rank() - 1)?
        }
        (false, false) => batches(&a, &b)?,
    };
    Ok(y)
}

fn batches(a: &Tensor, b: &Tensor) -> Forward<Tensor> {
    let shape = |what, x: &Tensor, expected: String| OpError::Shape {
        what,
        got: x.dims().to_vec(),
        expected,
    };
    let [a_batch @ .., m, k] = a.dims() else {
        return Err(shape("a", a, "at least one dimension".into()));
    };
    let [b_batch @ .., l, n] = b.dims() else {
        return Err(shape("b", b, "at least one dimension".into()));
    };
    if k != l {
        return Err(shape("b", b, format!("[.., {k}, N], for a of shape {:?}", a.dims())));
    }
    let Some(batch) = broadcast(a_batch, b_batch) else {
        let expected = format!("a batch that can be broadcast to {a_batch:?}");
        return Err(shape("b", b, expected));
    };
    let result = [&batch[..], &[*m, *n]].concat();
    check_size(&result)?;
    if a.elem_count() == 0 || b.elem_count() == 0 {
        return Ok(Tensor::zeros(result, a.dtype(), a.device())?);
    }
    if b_batch.is_empty() {
        // One product of all rows.
        let rows = a.elem_count() / k;
        return Ok(product(&a.reshape((rows, *k))?, b)?.reshape(result)?);
    }
    let count: usize = batch.iter().product();
    let flat = |x: &Tensor, rows: usize, columns: usize| -> Forward<Tensor> {
        let sizes = [&batch[..], &[rows, columns]].concat();
        check_size(&sizes)?;
        Ok(broadcast_to(x, &sizes)?.reshape((count, rows, columns))?)
    };
    Ok(product(&flat(a, *m, *k)?, &flat(b, *k, *n)?)?.reshape(result)?)
}

/// α·a·b + β·c, where a and b can be transposed and c is broadcast to the product.
pub(super) fn gemm(inputs: &Inputs, settings: &Gemm) -> Forward<Tensor> {
    let given: Vec<&Tensor> = inputs.all().collect();
    given.iter().try_for_each(|x| check_float("an input", x))?;
    let common = Common::of("an input", &given)?;
    let matrix = |what, index: usize, transpose: bool| -> Forward<Tensor> {
        let x = common.convert(inputs.need(index)?)?;
        match (x.rank(), transpose) {
            (2, true) => Ok(x.t()?),
            (2, false) => Ok(x),
            _ => {
                let expected = "a matrix".into();
                Err(OpError::Shape { what, got: x.dims().to_vec(), expected })
            }
        }
    };
    let (a, b) = (matrix("a", 0, settings.transpose_a)?, matrix("b", 1, settings.transpose_b)?);
    let mut y = batches(&a, &b)?;
    if settings.alpha != 1. {
        y = (y * settings.alpha)?;
    }
    let Some(c) = inputs.get(2) else { return Ok(y) };
    if broadcast(c.dims(), y.dims()).as_deref() != Some(y.dims()) {
        let expected = format!("a shape that can be broadcast to {:?}", y.dims());
        return Err(OpError::Shape { what: "c", got: c.dims().to_vec(), expected });
    }
    let mut c = common.convert(c)?;
    if settings.beta != 1. {
        c = (c * settings.beta)?;
    }
    Ok(y.broadcast_add(&c)?)
}

/// a·b of matrices, or of as many a as b.
fn product(a: &Tensor, b: &Tensor) -> Forward<Tensor> {
    let (a, b) = (dense(a)?, dense(b)?);
    if a.track_op() == b.track_op() {
        return Ok(a.matmul(&b)?);
    }
    let y = a.detach().matmul(&b.detach())?;
    let none = Tensor::zeros((), a.dtype(), a.device())?;
    with_gradients([&a, &b, &none], y, |[a, b, _], g, which| {
        let g = dense(g)?;
        Ok(match which {
            0 => g.matmul(&b.t()?)?,
            _ => a.t()?.matmul(&g)?,
        })
    })
}

/// The same matrices, copied unless they or their transposes lie densely in memory: candle
/// multiplies no others rightly.
fn dense(x: &Tensor) -> Forward<Tensor> {
    match x.is_contiguous() || x.t()?.is_contiguous() {
        true => Ok(x.clone()),
        false => Ok(x.contiguous()?),
    }
}
