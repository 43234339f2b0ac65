//! Remove and debias (ROAD; Rong et al., 2022).

use candle_core::Tensor;

use super::curve::ranks;
use super::imputation::linear_imputation;
use crate::error::{Error, Result, check};
use crate::noise::gaussian;
use crate::target::Target;
use crate::tensors::{check_input, check_like};

/// Options of [`road`].
#[derive(Debug, Clone, PartialEq)]
pub struct Road {
    /// Shares of the pixels that are removed, from 0 to below 1. Default 0.1, 0.2, ... 0.9.
    pub shares: Vec<f64>,
    /// Standard deviation of the noise on imputed pixels in the input's units, from 0. Default
    /// 0.01.
    pub deviation: f64,
    /// Decides the noise together with the input's position in the batch. Default 0.
    pub seed: u64,
}

impl Default for Road {
    fn default() -> Self {
        let shares = (1..10).map(|tenths| f64::from(tenths) / 10.).collect();
        Self { shares, deviation: 0.01, seed: 0 }
    }
}

/// f of one input as its pixels are removed and imputed.
#[derive(Debug, Clone, PartialEq)]
pub struct RoadCurves {
    /// f at each share, the most relevant pixels being removed; lower is better.
    pub most_relevant_first: Vec<f64>,
    /// f at each share, the least relevant pixels being removed; higher is better.
    pub least_relevant_first: Vec<f64>,
}

impl RoadCurves {
    /// Half of the mean by which f is higher without the least relevant pixels than without the
    /// most relevant ones, as pytorch-grad-cam's `ROADCombined`. Higher is better; 0 is chance, as
    /// a map of one value gets on average.
    pub fn combined(&self) -> f64 {
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let count = self.most_relevant_first.len() as f64;
        (sum(&self.least_relevant_first) - sum(&self.most_relevant_first)) / (2. * count)
    }
}

/// ROAD: f of images x [B, C, H, W] as a share of their pixels is removed, by maps [B, H, W]: the
/// greatest values first, and the lowest first. Removed pixels are imputed from those around them
/// ([`linear_imputation`](crate::linear_imputation())) with Gaussian noise added. So an image has
/// no edges where pixels are missing, from which a model could tell what was removed, and which
/// make [`deletion`](crate::deletion()) depend on its baseline. A share of n pixels is rounded to
/// whole ones. Equal values are removed in a pseudo-random order that is the same for every map.
///
/// The paper and Quantus report the share of images whose class is still the right one: that is the
/// share of inputs for which f keeps its side, if f is a logit or a logit's lead over the others.
/// Quantus numbers pixels among the entries of all channels, so that its ROAD does not work for
/// images of several channels. pytorch-grad-cam reports f less f(x), and its percentile is the
/// share that is kept.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Road, Target, road};
///
/// // 4×4 pixels, black but for one; f is that pixel, and the map knows it.
/// let pixels = (0..16).map(|i| if i == 5 { 1f64 } else { 0. });
/// let x = Tensor::from_iter(pixels, &Device::Cpu)?.reshape((1, 1, 4, 4))?;
/// let model = |x: &Tensor| x.narrow(2, 1, 1)?.narrow(3, 1, 1)?.flatten_from(1);
/// let options = Road { shares: vec![0.25], deviation: 0., ..Road::default() };
/// let found = road(&Target::new(model, 0), &x, &x.squeeze(1)?, &options)?;
/// // Imputed from its black neighbours it is black; else it stays as it is.
/// assert_eq!(found[0].most_relevant_first, [0.]);
/// assert_eq!(found[0].least_relevant_first, [1.]);
/// assert_eq!(found[0].combined(), 0.5);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If an option is outside its range, a share leaves no pixel, the shapes do not fit, a value is
/// not finite, or the model fails.
pub fn road<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    maps: &Tensor,
    options: &Road,
) -> Result<Vec<RoadCurves>> {
    check(
        options.deviation >= 0. && options.deviation.is_finite(),
        "deviation",
        options.deviation,
        "a number from 0",
    )?;
    let noise = (0..options.shares.len())
        .map(|share| gaussian(x, options.seed, share, |_| options.deviation));
    road_with_noise(target, x, maps, &options.shares, noise)
}

/// [`road`] with given noise, of x's shape for each share. It is added where a pixel is removed, in
/// both orders.
///
/// # Errors
/// As for [`road`], and if the noise does not fit.
pub fn road_with_noise<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    maps: &Tensor,
    shares: &[f64],
    noise: impl IntoIterator<Item = Result<Tensor>>,
) -> Result<Vec<RoadCurves>> {
    check_input(x)?;
    let x = &x.detach().contiguous()?;
    let pixels = match *x.dims() {
        [b, _, h, w] if maps.dims() == [b, h, w] => h * w,
        _ => {
            let expected = format!("[B, H, W] of images [B, C, H, W], which are {:?},", x.dims());
            return Err(Error::shape("the maps", maps.dims(), expected));
        }
    };
    let counts = counts(shares, pixels)?;
    let noise = noise.into_iter().collect::<Result<Vec<_>>>()?;
    check(noise.len() == counts.len(), "noise", noise.len(), "one for each share")?;
    let ranks = ranks(x, maps)?;
    let inputs = x.dim(0)?;
    let (mut most, mut least) = (vec![vec![]; inputs], vec![vec![]; inputs]);
    for (count, noise) in counts.into_iter().zip(&noise) {
        let removed = [ranks.lt(count)?, ranks.ge(pixels as f64 - count)?];
        let [without_most, without_least] = removed.map(|removed| impute(x, &removed, noise));
        let values = target.numbers(&Tensor::cat(&[without_most?, without_least?], 0)?)?;
        let (first, second) = values.split_at(inputs);
        most.iter_mut().zip(first).for_each(|(curve, value)| curve.push(*value));
        least.iter_mut().zip(second).for_each(|(curve, value)| curve.push(*value));
    }
    let curves = most.into_iter().zip(least).map(|(most_relevant_first, least_relevant_first)| {
        RoadCurves { most_relevant_first, least_relevant_first }
    });
    Ok(curves.collect())
}

/// How many pixels each share is.
fn counts(shares: &[f64], pixels: usize) -> Result<Vec<f64>> {
    check(!shares.is_empty(), "shares", "none", "at least one share")?;
    let count = |&share: &f64| -> Result<f64> {
        let count = (share * pixels as f64).round();
        let leaves_some = share >= 0. && count < pixels as f64;
        check(leaves_some, "share", share, "a share from 0 that leaves at least one pixel")?;
        Ok(count)
    };
    shares.iter().map(count).collect()
}

/// The images with pixels imputed where `removed` [B, 1, H, W] is 1, and noise on them.
fn impute(x: &Tensor, removed: &Tensor, noise: &Tensor) -> Result<Tensor> {
    if noise.dims() != x.dims() {
        let expected = format!("{:?}, as the images have,", x.dims());
        return Err(Error::shape("the noise", noise.dims(), expected));
    }
    check_like("the noise", noise, x)?;
    let imputed = linear_imputation(x, &removed.squeeze(1)?)?;
    Ok((imputed + noise.broadcast_mul(&removed.to_dtype(x.dtype())?)?)?)
}
