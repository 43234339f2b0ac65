//! Layer norm and RMS norm with gradients: those of `candle_nn` pass none.

use candle_core::{DType, Tensor};

use crate::error::{Result, floats, shape};

/// Layer norm: γ·(x - mean)/√(variance + ε) + β over the last dimensions, which are those of γ and
/// β; x [..., D].
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::layer_norm;
///
/// // The mean is 2 and the variance 1.
/// let x = Tensor::new(&[[1f64, 3.]], &Device::Cpu)?;
/// let gamma = Tensor::new(&[1f64, 2.], &Device::Cpu)?;
/// let beta = Tensor::new(&[0f64, 10.], &Device::Cpu)?;
/// assert_eq!(layer_norm(&x, &gamma, &beta, 0.)?.to_vec2::<f64>()?, [[-1., 12.]]);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit each other or a tensor has no fraction.
pub fn layer_norm(x: &Tensor, gamma: &Tensor, beta: &Tensor, epsilon: f64) -> Result<Tensor> {
    const NAME: &str = "layer_norm";
    floats(NAME, &[x, gamma, beta])?;
    let first = normalised_from(NAME, x, gamma)?;
    if beta.dims() != gamma.dims() {
        return Err(shape(NAME, "beta", format!("{:?}", gamma.dims()), beta));
    }
    let wide = widened(x)?;
    let centred = wide.broadcast_sub(&mean(&wide, first)?)?;
    let y = over_deviation(&centred, first, epsilon)?.to_dtype(x.dtype())?;
    Ok(y.broadcast_mul(gamma)?.broadcast_add(beta)?)
}

/// RMS norm: γ·x/√(mean of x² + ε) over the last dimensions, which are those of γ; x [..., D].
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_kernels::rms_norm;
///
/// // The mean of 1² and 7² is 5².
/// let x = Tensor::new(&[[1f64, 7.]], &Device::Cpu)?;
/// let gamma = Tensor::new(&[5f64, 10.], &Device::Cpu)?;
/// let y = rms_norm(&x, &gamma, 0.)?.to_vec2::<f64>()?;
/// assert!((y[0][0] - 1.).abs() < 1e-12 && (y[0][1] - 14.).abs() < 1e-12);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit each other or a tensor has no fraction.
pub fn rms_norm(x: &Tensor, gamma: &Tensor, epsilon: f64) -> Result<Tensor> {
    const NAME: &str = "rms_norm";
    floats(NAME, &[x, gamma])?;
    let first = normalised_from(NAME, x, gamma)?;
    let y = over_deviation(&widened(x)?, first, epsilon)?.to_dtype(x.dtype())?;
    Ok(y.broadcast_mul(gamma)?)
}

/// The first of the dimensions that are normalised.
fn normalised_from(operation: &'static str, x: &Tensor, gamma: &Tensor) -> Result<usize> {
    match x.rank().checked_sub(gamma.rank()) {
        Some(first) if gamma.rank() > 0 && x.dims()[first..] == *gamma.dims() => Ok(first),
        _ => Err(shape(operation, "gamma", format!("the end of {:?}", x.dims()), gamma)),
    }
}

/// x in at least single precision.
pub(crate) fn widened(x: &Tensor) -> candle_core::Result<Tensor> {
    match x.dtype() {
        DType::F64 => Ok(x.clone()),
        _ => x.to_dtype(DType::F32),
    }
}

fn mean(x: &Tensor, first: usize) -> candle_core::Result<Tensor> {
    x.mean_keepdim((first..x.rank()).collect::<Vec<_>>())
}

/// x/√(mean of x² + ε).
fn over_deviation(x: &Tensor, first: usize, epsilon: f64) -> candle_core::Result<Tensor> {
    x.broadcast_div(&(mean(&x.sqr()?, first)? + epsilon)?.sqrt()?)
}
