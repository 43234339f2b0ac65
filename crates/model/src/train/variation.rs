//! Training for masks that lie in one place.

use candle_core::{Result as CandleResult, Tensor};
use foresee_kernels::channels_last::conv2d;

use crate::error::Result;
use crate::heads::Heads;

/// The total variation of an attribute's masks on features z [B, H, W, C]: the mean over images,
/// channels and pixels of |M(y, x + 1) - M(y, x)| + |M(y + 1, x) - M(y, x)| (Rudin et al., 1992, in
/// its anisotropic form). A scalar, differentiable in z and the masks' weights. Rows without masks
/// count as 0.
pub(super) fn total_variation(heads: &Heads, z: &Tensor, attribute: usize) -> Result<Tensor> {
    let (b, h, w, c) = z.dims4()?;
    let rows: Vec<u32> =
        heads.rows().of(attribute).iter().map(|&row| (attribute * c + row) as u32).collect();
    if rows.is_empty() {
        return Ok(Tensor::zeros((), z.dtype(), z.device())?);
    }
    let rows = Tensor::new(rows, z.device())?;
    let weight = heads.mask_weight.index_select(&rows, 0)?;
    let bias = heads.mask_bias.index_select(&rows, 0)?;
    // sigmoid(x) = (1 + tanh(x/2))/2, whose gradient candle has for every x; the half is below.
    let masks = (conv2d(z, &weight, &bias, 1, heads.precision)? * 0.5)?.tanh()?;
    let variation = (differences(&masks, 1)? + differences(&masks, 2)?)?;
    Ok((variation * (0.5 / (b * h * w * c) as f64))?)
}

/// Σ |M(i + 1) - M(i)| along a dimension.
fn differences(masks: &Tensor, dimension: usize) -> CandleResult<Tensor> {
    let last = masks.dim(dimension)? - 1;
    let next = masks.narrow(dimension, 1, last)?;
    (next - masks.narrow(dimension, 0, last)?)?.abs()?.sum_all()
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::config::NetworkConfig;
    use crate::network::Network;

    /// Heads of two attributes on two channels of one.
    fn heads(kernel: usize) -> Heads {
        let config =
            NetworkConfig { attributes: 2, channels: 2, mask_kernel: kernel, ..Default::default() };
        Network::new(config, 3, &Device::Cpu).unwrap().heads().clone()
    }

    #[test]
    fn by_hand() -> Result<()> {
        let heads = heads(1);
        // The second attribute's masks are sigmoid(z of their own channel).
        let rows = [[0f32, 0.], [0., 0.], [1., 0.], [0., 1.]];
        heads.mask_weight.set(&Tensor::new(&rows, &Device::Cpu)?.reshape((4, 2, 1, 1))?)?;
        heads.mask_bias.set(&heads.mask_bias.zeros_like()?)?;
        // Sigmoids of 0.5, 0.25 and 0.75 in the first channel, constant in the second.
        let ln3 = 3f32.ln();
        let z = Tensor::new(&[[0f32, 9.], [-ln3, 9.], [ln3, 9.], [0., 9.]], &Device::Cpu)?;
        let z = z.reshape((1, 2, 2, 2))?;
        // Rows: 0.25 and 0.25; columns: 0.25 and 0.25; over 4 pixels and 2 channels.
        let found = total_variation(&heads, &z, 1)?.to_scalar::<f32>()?;
        assert!((found - 1. / 8.).abs() < 1e-6, "{found}");
        assert_eq!(total_variation(&heads, &z, 0)?.to_scalar::<f32>()?, 0.);
        Ok(())
    }

    #[test]
    fn gradients_are_those_of_differences() -> Result<()> {
        for kernel in [1, 3] {
            let heads = heads(kernel);
            let values: Vec<f32> = (0..24).map(|i| ((i * 7 % 11) as f32 - 5.) / 4.).collect();
            let at = |values: Vec<f32>| -> Result<Tensor> {
                total_variation(&heads, &Tensor::from_vec(values, (1, 3, 4, 2), &Device::Cpu)?, 0)
            };
            let z = Var::from_vec(values.clone(), (1, 3, 4, 2), &Device::Cpu)?;
            let gradients = total_variation(&heads, &z, 0)?.backward()?;
            let of_z = gradients.get(&z).expect("z has one").flatten_all()?.to_vec1::<f32>()?;
            for (i, gradient) in of_z.iter().enumerate() {
                let moved = |step: f32| {
                    let mut values = values.clone();
                    values[i] += step;
                    at(values)?.to_scalar::<f32>().map_err(crate::Error::from)
                };
                let slope = (moved(1e-2)? - moved(-1e-2)?) / 2e-2;
                assert!((slope - gradient).abs() < 3e-4, "{kernel}, {i}: {slope}, {gradient}");
            }
            let of_weight = gradients.get(&heads.mask_weight).expect("the weight has one");
            // Of the first attribute's rows alone.
            assert!(of_weight.narrow(0, 0, 2)?.abs()?.sum_all()?.to_scalar::<f32>()? > 0.);
            assert_eq!(of_weight.narrow(0, 2, 2)?.abs()?.sum_all()?.to_scalar::<f32>()?, 0.);
        }
        Ok(())
    }
}
