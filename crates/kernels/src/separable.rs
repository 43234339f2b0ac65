//! Linear maps of an image's rows and columns: what average pooling and upsampling have in common.

use candle_core::{DType, Device, Tensor};

use crate::error::{Result, floats, shape};

/// One axis' weights, [outputs, inputs].
pub(crate) struct AxisWeights {
    inputs: usize,
    weights: Vec<f64>,
}

impl AxisWeights {
    /// No weights yet, from `inputs` pixels to `outputs`.
    pub fn zeros(inputs: usize, outputs: usize) -> Self {
        Self { inputs, weights: vec![0.; inputs * outputs] }
    }

    /// Adds to the weight of an input pixel in an output pixel.
    pub fn add(&mut self, output: usize, input: usize, weight: f64) {
        self.weights[output * self.inputs + input] += weight;
    }

    /// Wᵀ, [inputs, outputs].
    fn transposed(self, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let outputs = self.weights.len() / self.inputs;
        Tensor::from_vec(self.weights, (outputs, self.inputs), &Device::Cpu)?
            .t()?
            .contiguous()?
            .to_dtype(dtype)?
            .to_device(device)
    }
}

/// Σ_ij rows[p, i]·columns[q, j]·x[b, c, i, j] for x [B, C, H, W]: two matrix products, whose
/// gradients candle has right on every device. An axis without weights stays as it is.
pub(crate) fn apply(
    x: &Tensor,
    rows: Option<AxisWeights>,
    columns: Option<AxisWeights>,
) -> Result<Tensor> {
    let x = match columns {
        Some(weights) => along_columns(x, weights)?,
        None => x.clone(),
    };
    match rows {
        Some(weights) => {
            let x = along_columns(&x.transpose(2, 3)?, weights)?;
            Ok(x.transpose(2, 3)?.contiguous()?)
        }
        None => Ok(x),
    }
}

/// Σ_j weights[q, j]·x[b, c, i, j].
fn along_columns(x: &Tensor, weights: AxisWeights) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let weights = weights.transposed(x.dtype(), x.device())?;
    let outputs = weights.dim(1)?;
    Ok(x.contiguous()?.reshape((b * c * h, w))?.matmul(&weights)?.reshape((b, c, h, outputs))?)
}

/// The height and width of images [B, C, H, W] that have at least one pixel.
pub(crate) fn image_size(operation: &'static str, x: &Tensor) -> Result<(usize, usize)> {
    floats(operation, &[x])?;
    match *x.dims() {
        [_, _, h, w] if h > 0 && w > 0 => Ok((h, w)),
        _ => Err(shape(operation, "x", "[B, C, H, W] with at least one pixel", x)),
    }
}
