//! The weights of a layer that takes up the batch norm behind it.

use candle_core::{DType, Tensor};

use super::Pair;
use crate::error::Result;
use crate::op::Op;

impl Pair {
    /// The merged weight and bias; `None` if the shapes are not those of a layer and its norm.
    pub fn merge(&self) -> Result<Option<[Tensor; 2]>> {
        let [gamma, beta, mean, variance] = &self.parameters;
        let channels = gamma.elem_count();
        if self.parameters.iter().any(|parameter| parameter.dims() != [channels]) {
            return Ok(None);
        }
        let double = |weight: &Tensor| weight.detach().to_dtype(DType::F64);
        let scale = (double(gamma)? / (double(variance)? + self.epsilon)?.sqrt()?)?;
        let shift = (double(beta)? - (double(mean)? * &scale)?)?;
        let weight = double(&self.layer.weight)?;
        let Some(weight) = self.layer.op.scale_outputs(&weight, &scale)? else { return Ok(None) };
        let bias = match &self.layer.bias {
            Some(bias) => {
                let Some(bias) = self.channel_bias(&double(bias)?, channels)? else {
                    return Ok(None);
                };
                ((bias * scale)? + shift)?
            }
            None => shift,
        };
        let dtype = self.layer.weight.dtype();
        Ok(Some([weight.to_dtype(dtype)?, bias.to_dtype(dtype)?]))
    }

    /// What the layer adds to each of so many channels.
    fn channel_bias(&self, bias: &Tensor, channels: usize) -> Result<Option<Tensor>> {
        let factor = match self.layer.op {
            Op::Gemm(gemm) => gemm.beta,
            _ => 1.,
        };
        let count = bias.elem_count();
        let of_channels = count == channels && bias.dims().last() == Some(&channels);
        if count != 1 && !of_channels {
            return Ok(None);
        }
        Ok(Some((bias.flatten_all()?.broadcast_as(channels)? * factor)?))
    }
}
