//! The numbers that small tensors hold.

use candle_core::{DType, Tensor};

/// No shape and no list of axes is longer.
const LONGEST: usize = 64;

/// The numbers of a tensor of integers that is no larger than a shape.
pub(crate) fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    let is_shape = tensor.dtype() == DType::I64 && tensor.elem_count() <= LONGEST;
    is_shape.then(|| tensor.flatten_all().and_then(|all| all.to_vec1()).ok()).flatten()
}

/// The number that a tensor of one element holds.
pub(crate) fn scalar(tensor: &Tensor) -> Option<f64> {
    if tensor.elem_count() != 1 {
        return None;
    }
    let number = tensor.reshape(()).and_then(|number| number.to_dtype(DType::F64));
    number.and_then(|number| number.to_scalar()).ok()
}
