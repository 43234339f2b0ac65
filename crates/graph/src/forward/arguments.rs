//! What operations ask of their inputs: integers, axes, one type, a size that fits into memory.

use candle_core::{DType, Device, Tensor};

use super::Forward;
use crate::dims::{self, broadcast};
use crate::error::OpError;
use crate::numbers::scalar;
use crate::op::Kind;

/// No result has more elements.
pub(super) const MAX_ELEMENTS: usize = 1 << 31;

/// No tensor has more dimensions: candle's loops over two tensors are made for as many.
pub(super) const MAX_RANK: usize = 8;

/// A setting, or a number of an input, that is not possible.
pub(super) fn impossible(
    what: &'static str,
    value: impl ToString,
    expected: impl Into<String>,
) -> OpError {
    OpError::Setting { what, value: value.to_string(), expected: expected.into() }
}

/// Refuses a result of these sizes if it is too large.
pub(crate) fn check_size(sizes: &[usize]) -> Forward<()> {
    check_rank(sizes.len())?;
    // A size of 0 counts as 1: strides are products of the other sizes.
    let product = sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size.max(1)));
    match product {
        Some(elements) if elements <= MAX_ELEMENTS => Ok(()),
        elements => {
            Err(OpError::TooLarge { elements: elements.unwrap_or(usize::MAX), limit: MAX_ELEMENTS })
        }
    }
}

/// Refuses tensors of more dimensions than [`MAX_RANK`].
pub(super) fn check_rank(rank: usize) -> Forward<()> {
    match rank <= MAX_RANK {
        true => Ok(()),
        false => {
            let expected = format!("a tensor has at most {MAX_RANK}");
            Err(impossible("the number of dimensions", rank, expected))
        }
    }
}

/// A size that is given as an integer.
pub(super) fn size_of(what: &'static str, size: i64) -> Forward<usize> {
    usize::try_from(size).map_err(|_| impossible(what, size, "a size is 0 or more"))
}

/// Sizes that a tensor of integers holds.
pub(super) fn sizes_of(what: &'static str, x: &Tensor) -> Forward<Vec<usize>> {
    integers(what, x)?.into_iter().map(|size| size_of("a size", size)).collect()
}

/// What the numbers of a tensor are.
pub(super) fn kind(x: &Tensor) -> Kind {
    Kind::of(x.dtype())
}

/// Refuses integers and booleans.
pub(super) fn check_float(what: &'static str, x: &Tensor) -> Forward<()> {
    match kind(x) {
        Kind::Float => Ok(()),
        _ => Err(wrong_type(what, x, "numbers with a fraction")),
    }
}

pub(super) fn wrong_type(what: &'static str, x: &Tensor, expected: &'static str) -> OpError {
    OpError::Type { what, got: x.dtype().as_str(), expected }
}

/// The integers of a tensor with one dimension or none.
pub(super) fn integers(what: &'static str, x: &Tensor) -> Forward<Vec<i64>> {
    if kind(x) != Kind::Int {
        return Err(wrong_type(what, x, "integers"));
    }
    if x.rank() > 1 {
        let expected = "one dimension".into();
        return Err(OpError::Shape { what, got: x.dims().to_vec(), expected });
    }
    Ok(x.to_dtype(DType::I64)?.flatten_all()?.to_vec1()?)
}

/// The one number of a tensor.
pub(super) fn number(what: &'static str, x: &Tensor) -> Forward<f64> {
    let expected = || "one number".into();
    scalar(x).ok_or_else(|| OpError::Shape { what, got: x.dims().to_vec(), expected: expected() })
}

/// A dimension of a tensor of this rank; from the back if negative.
pub(super) fn axis(axis: i64, rank: usize) -> Forward<usize> {
    let none = || impossible("an axis", axis, format!("there are {rank} dimensions"));
    dims::axis(axis, rank).ok_or_else(none)
}

/// Different dimensions of a tensor of this rank, in their order; from the back if negative.
pub(super) fn axes(axes: &[i64], rank: usize) -> Forward<Vec<usize>> {
    let mut found = axes.iter().map(|&a| axis(a, rank)).collect::<Forward<Vec<_>>>()?;
    found.sort_unstable();
    match found.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(impossible("an axis", pair[0], "each is there once")),
        None => Ok(found),
    }
}

/// The type and the device that tensors of an operation share.
pub(super) struct Common {
    dtype: DType,
    device: Device,
}

impl Common {
    /// That of tensors of one kind: the wider of two types with a fraction (integers that are cast
    /// are `f32`, whatever the weights are), and a GPU rather than the CPU, where numbers are
    /// that come from shapes.
    pub fn of(what: &'static str, tensors: &[&Tensor]) -> Forward<Self> {
        let [first, rest @ ..] = tensors else {
            return Err(impossible(what, "none", "at least one is needed"));
        };
        let mut common = Self { dtype: first.dtype(), device: first.device().clone() };
        for x in rest {
            if kind(x) != kind(first) {
                let expected = "the same as the others'";
                return Err(OpError::Type { what, got: x.dtype().as_str(), expected });
            }
            common.dtype = wider(common.dtype, x.dtype());
            if common.device.is_cpu() {
                common.device = x.device().clone();
            }
        }
        Ok(common)
    }

    /// A tensor of this type on this device, differentiable.
    pub fn convert(&self, x: &Tensor) -> Forward<Tensor> {
        Ok(x.to_dtype(self.dtype)?.to_device(&self.device)?)
    }
}

/// The type that holds the numbers of two types of one kind.
fn wider(a: DType, b: DType) -> DType {
    match (a, b) {
        _ if a == b => a,
        _ if a.is_int() => DType::I64,
        (DType::F64, _) | (_, DType::F64) => DType::F64,
        _ => DType::F32,
    }
}

/// The sizes of tensors that are broadcast to each other: from the back, they are equal, or one of
/// them is 1.
pub(super) fn broadcast_sizes(tensors: &[&Tensor]) -> Forward<Vec<usize>> {
    let mut sizes: Vec<usize> = Vec::new();
    for x in tensors {
        sizes = broadcast(&sizes, x.dims()).ok_or_else(|| OpError::Shape {
            what: "an input",
            got: x.dims().to_vec(),
            expected: format!("a shape that can be broadcast to {sizes:?}"),
        })?;
    }
    check_size(&sizes)?;
    Ok(sizes)
}

/// x with these sizes, to which its own can be broadcast.
pub(super) fn broadcast_to(x: &Tensor, sizes: &[usize]) -> candle_core::Result<Tensor> {
    match x.dims() == sizes {
        true => Ok(x.clone()),
        false => x.broadcast_as(sizes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bounded_and_do_not_overflow() {
        assert!(check_size(&[1 << 16, 1 << 15]).is_ok());
        assert!(check_size(&[1 << 16, 1 << 16]).is_err());
        assert!(check_size(&[0, usize::MAX, usize::MAX]).is_err());
        assert!(check_size(&[1; 9]).is_err());
    }

    #[test]
    fn axes_count_from_both_ends_and_are_different() {
        assert_eq!(axes(&[-1, 0], 3).unwrap(), [0, 2]);
        assert!(axes(&[0, -3], 3).is_err());
        assert!(axis(3, 3).is_err() && axis(i64::MIN, 3).is_err() && axis(0, 0).is_err());
    }
}
