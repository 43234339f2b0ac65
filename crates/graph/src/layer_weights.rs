//! The weights of layers, by their output channels.

use candle_core::Tensor;

use crate::error::Result;
use crate::op::Op;

impl Op {
    /// The weight of a convolution, a transposed convolution or a linear layer, times a number for
    /// each output channel, `[O]`; `None` if the shapes do not fit, or it is another operation.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn scale_outputs(&self, weight: &Tensor, scale: &Tensor) -> Result<Option<Tensor>> {
        let (dims, channels) = (weight.dims(), scale.elem_count());
        let mut shape = vec![1; dims.len()];
        match self {
            Self::Conv(_) if dims.len() > 2 && dims[0] == channels => shape[0] = channels,
            Self::Gemm(gemm) if gemm.transpose_b && dims.len() == 2 && dims[0] == channels => {
                shape[0] = channels;
            }
            Self::Gemm(gemm) if !gemm.transpose_b && dims.len() == 2 && dims[1] == channels => {
                shape[1] = channels;
            }
            Self::MatMul if dims.len() == 2 && dims[1] == channels => shape[1] = channels,
            Self::ConvTranspose(transposed) if dims.len() > 2 => {
                return scale_transposed(weight, scale, transposed.window.groups);
            }
            _ => return Ok(None),
        }
        Ok(Some(weight.broadcast_mul(&scale.reshape(shape)?)?))
    }
}

/// A weight [I, O/groups, ...], in which output channels of a group are together.
fn scale_transposed(weight: &Tensor, scale: &Tensor, groups: usize) -> Result<Option<Tensor>> {
    let dims = weight.dims();
    let (inputs, outputs) = (dims[0], dims[1]);
    if groups == 0 || outputs * groups != scale.elem_count() || inputs % groups != 0 {
        return Ok(None);
    }
    let rest: usize = dims[2..].iter().product();
    let grouped = weight.reshape((groups, inputs / groups, outputs, rest))?;
    let scaled = grouped.broadcast_mul(&scale.reshape((groups, 1, outputs, 1))?)?;
    Ok(Some(scaled.reshape(dims)?))
}
