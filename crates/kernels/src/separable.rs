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
/// gradients candle has right on every device.
pub(crate) fn apply(x: &Tensor, rows: AxisWeights, columns: AxisWeights) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let rows = rows.transposed(x.dtype(), x.device())?;
    let columns = columns.transposed(x.dtype(), x.device())?;
    let (p, q) = (rows.dim(1)?, columns.dim(1)?);
    let along_rows = x.contiguous()?.reshape((b * c * h, w))?.matmul(&columns)?;
    let columns_first = along_rows.reshape((b * c, h, q))?.transpose(1, 2)?.contiguous()?;
    let both = columns_first.reshape((b * c * q, h))?.matmul(&rows)?.reshape((b * c, q, p))?;
    Ok(both.transpose(1, 2)?.contiguous()?.reshape((b, c, p, q))?)
}

/// The height and width of images [B, C, H, W] that have at least one pixel.
pub(crate) fn image_size(operation: &'static str, x: &Tensor) -> Result<(usize, usize)> {
    floats(operation, &[x])?;
    match *x.dims() {
        [_, _, h, w] if h > 0 && w > 0 => Ok((h, w)),
        _ => Err(shape(operation, "x", "[B, C, H, W] with at least one pixel", x)),
    }
}
