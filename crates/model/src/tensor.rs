//! Small helpers on tensors.

use candle_core::{Tensor, Var};

use crate::error::Result;

/// The value of a variable, without a way for gradients if it is `frozen`.
pub(crate) fn detach(var: &Var, frozen: bool) -> Tensor {
    if frozen { var.as_detached_tensor() } else { var.as_tensor().clone() }
}

/// Whether all values are finite.
pub(crate) fn is_finite(x: &Tensor) -> Result<bool> {
    // x·0 is NaN for what is not finite, and no sum of it overflows.
    Ok((x.detach() * 0.)?.sum_all()?.to_scalar::<f32>()? == 0.)
}
