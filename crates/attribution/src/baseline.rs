//! Baselines: inputs without the information that is explained.

use candle_core::Tensor;

use crate::error::{Error, Result, check};
use crate::tensors::{check_float, check_input, check_like};

/// A baseline of x's shape, from one of x's or of one input's shape; `None` is 0.
pub(crate) fn baseline_like(x: &Tensor, baseline: Option<&Tensor>) -> Result<Tensor> {
    check_input(x)?;
    if let Some(baseline) = baseline {
        check_like("the baseline", baseline, x)?;
    }
    match baseline {
        None => Ok(x.zeros_like()?),
        Some(b)
            if b.dims() == x.dims()
                || b.dims() == &x.dims()[1..]
                || (b.rank() == x.rank() && b.dims()[0] == 1 && b.dims()[1..] == x.dims()[1..]) =>
        {
            Ok(b.detach().broadcast_as(x.shape())?.contiguous()?)
        }
        Some(b) => {
            let expected = format!("{:?} or {:?}", x.dims(), &x.dims()[1..]);
            Err(Error::shape("the baseline", b.dims(), expected))
        }
    }
}

/// Images [B, C, H, W] blurred by a Gaussian of this standard deviation in pixels: the baseline
/// that Petsiuk et al. (2018) insert into. It has the image's colours and no edge that a network
/// could see. At the border the weights of the pixels inside of the image add up to 1.
///
/// # Errors
/// If the deviation is not above 0 or x has not four dimensions.
pub fn blur(x: &Tensor, deviation: f64) -> Result<Tensor> {
    check(
        deviation > 0. && deviation.is_finite(),
        "deviation",
        deviation,
        "a number of pixels above 0",
    )?;
    check_float("the images", x)?;
    let &[_, _, h, w] = x.dims() else {
        return Err(Error::shape("the images", x.dims(), "[B, C, H, W]"));
    };
    let weights = |n: usize| -> Result<Tensor> {
        let rows = (0..n).flat_map(|i| {
            let row: Vec<f64> =
                (0..n).map(|j| (-0.5 * (i.abs_diff(j) as f64 / deviation).powi(2)).exp()).collect();
            let sum: f64 = row.iter().sum();
            row.into_iter().map(move |weight| weight / sum)
        });
        Ok(Tensor::from_iter(rows, x.device())?.reshape((n, n))?.to_dtype(x.dtype())?)
    };
    let across = x.detach().contiguous()?.broadcast_matmul(&weights(w)?.t()?.contiguous()?)?;
    Ok(weights(h)?.broadcast_matmul(&across)?)
}
