//! Eq. 8 and Eq. 10.

use candle_core::{DType, Result as CandleResult, Tensor};
use foresee_kernels::channels_last::LossOfMeans;

use crate::config::Sparsity;
use crate::error::{Error, Result};
use crate::network::Output;
use crate::penalty::MaskPenalty;

/// Eq. 10 and its parts. Of another network than the paper's: a loss of two terms, of which the
/// first says how well its answers fit the labels.
#[derive(Debug, Clone)]
pub struct Loss {
    /// L = L_b + λ‖M‖₁, a scalar.
    pub total: Tensor,
    /// L_b of Eq. 8.
    pub classification: Tensor,
    /// λ‖M‖₁, or another network's second term.
    pub sparsity: Tensor,
}

impl Loss {
    /// A loss of one term, a scalar: the second is 0.
    ///
    /// # Errors
    /// If candle fails.
    pub fn of_classification(classification: Tensor) -> CandleResult<Self> {
        let sparsity = classification.detach().zeros_like()?;
        Ok(Self { total: classification.clone(), classification, sparsity })
    }
}

/// Binary cross entropy with logits (Eq. 8), summed over the attributes and averaged over the
/// batch. For logits x and labels y in [0, 1], both [B, K], each element contributes
/// max(x, 0) - x·y + log(1 + exp(-|x|)), which is finite for every finite x.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_model::bce_with_logits;
///
/// // A logit of 0 is a probability of 1/2: ln 2 for each of two attributes.
/// let logits = Tensor::new(&[[0f32, 0.]], &Device::Cpu)?;
/// let labels = Tensor::new(&[[1f32, 0.]], &Device::Cpu)?;
/// let loss = bce_with_logits(&logits, &labels)?.to_scalar::<f32>()?;
/// assert!((loss - 2. * 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ.
pub fn bce_with_logits(logits: &Tensor, labels: &Tensor) -> CandleResult<Tensor> {
    weighted_bce_with_logits(logits, labels, None)
}

/// [`bce_with_logits`] in which image i counts `weights[i]` times; `None`: each counts once.
///
/// # Errors
/// If the shapes differ, or there is not one weight for each image.
pub fn weighted_bce_with_logits(
    logits: &Tensor,
    labels: &Tensor,
    weights: Option<&[f32]>,
) -> CandleResult<Tensor> {
    cross_entropy(logits, labels, weights, logits.dim(0)?)
}

/// The part of [`weighted_bce_with_logits`] that some of a batch's `images` have.
fn cross_entropy(
    logits: &Tensor,
    labels: &Tensor,
    weights: Option<&[f32]>,
    images: usize,
) -> CandleResult<Tensor> {
    let elements = elements(logits, labels)?;
    let elements = match weights {
        Some(weights) => {
            let weights = Tensor::from_slice(weights, (labels.dim(0)?, 1), labels.device())?;
            elements.broadcast_mul(&weights)?
        }
        None => elements,
    };
    elements.sum_all()? / images as f64
}

/// Makes sure that labels [B, K] lie in [0, 1]: with others, such as the -1 of CelebA's files, the
/// cross entropy has no lower bound. On another device than the CPU, which would be waited for,
/// only at the first step. Classes `[B]` are not looked at.
///
/// # Errors
/// [`Error::Label`] if one does not.
pub fn check_labels(labels: &Tensor, step: usize) -> Result<()> {
    if labels.rank() == 1 || (step > 0 && !labels.device().is_cpu()) {
        return Ok(());
    }
    let rows = labels.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    for (image, row) in rows.iter().enumerate() {
        let wrong = row.iter().position(|value| !(0. ..=1.).contains(value));
        if let Some(attribute) = wrong {
            return Err(Error::Label { image, attribute, value: row[attribute] });
        }
    }
    Ok(())
}

/// What each image and attribute contributes to [`bce_with_logits`], [B, K].
fn elements(logits: &Tensor, labels: &Tensor) -> CandleResult<Tensor> {
    let linear = (logits.relu()? - (logits * labels)?)?;
    let log = (logits.abs()?.neg()?.exp()? + 1.)?.log()?;
    linear + log
}

/// The loss of a batch (Eq. 10): [`bce_with_logits`] plus λ‖M‖₁. Masks are positive, so ‖M‖₁ is
/// their sum.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_model::{Output, Sparsity, loss};
///
/// // One attribute with one mask of 4 pixels, 1/2 on average: ‖M‖₁ = 2.
/// let output = Output {
///     logits: Tensor::new(&[[0f32]], &Device::Cpu)?,
///     mask_means: Tensor::new(&[[[0.5f32]]], &Device::Cpu)?,
///     pixels: 4,
/// };
/// let labels = Tensor::new(&[[1f32]], &Device::Cpu)?;
/// let loss = loss(&output, &labels, 0.1, Sparsity::Sum)?;
/// assert!((loss.sparsity.to_scalar::<f32>()? - 0.2).abs() < 1e-6);
/// assert!((loss.total.to_scalar::<f32>()? - (2f32.ln() + 0.2)).abs() < 1e-6);
/// # Ok::<(), foresee_model::Error>(())
/// ```
///
/// # Errors
/// If labels are not [B, K].
pub fn loss(output: &Output, labels: &Tensor, lambda: f64, sparsity: Sparsity) -> Result<Loss> {
    let penalty = MaskPenalty { lambda, sparsity, budget: 0., variation: 0. };
    LossOfPart { labels, weights: None, images: labels.dim(0)?, penalty }.of(output)
}

/// What some of a batch's images add to its [`loss`], where image i counts `weights[i]` times in
/// the cross entropy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LossOfPart<'a> {
    /// Of these images, [B, K].
    pub labels: &'a Tensor,
    /// Of these images; `None`: each counts once.
    pub weights: Option<&'a [f32]>,
    /// Images of the whole batch.
    pub images: usize,
    pub penalty: MaskPenalty,
}

impl LossOfPart<'_> {
    pub fn of(&self, output: &Output) -> Result<Loss> {
        let Self { labels, weights, images, penalty } = *self;
        let classification = cross_entropy(&output.logits, labels, weights, images)?;
        let sparsity = penalty.of(&output.mask_means, output.pixels, images)?;
        Ok(Loss { total: (&classification + &sparsity)?, classification, sparsity })
    }
}

/// The gradient of [`loss`] with respect to the means of the heads, so that these take it back
/// while they have their masks.
pub(crate) struct LossGradient {
    /// Readout weights, [K, C].
    readout: Vec<f32>,
    /// The logits but for what the means add, [B, K].
    offsets: Vec<f32>,
    /// What the means of each image are multiplied by before the readout.
    slopes: Vec<f32>,
    /// [B, K].
    labels: Vec<f32>,
    /// What each image counts; empty if all count alike.
    weights: Vec<f32>,
    /// Images of the whole batch.
    images: usize,
    attributes: usize,
    penalty: MaskPenalty,
    /// What [`MaskPenalty::of_mean`] gives for these images.
    of_mean: f64,
    /// Σ over the rows of each attribute that sleep, in the place of their masks' means.
    asleep: Vec<f32>,
}

/// What the heads' means do not say of the logits and masks.
pub(crate) struct Constants<'a> {
    /// The logits where all means are 0, [B, K].
    pub offsets: &'a Tensor,
    /// What the means of each image are multiplied by before the readout.
    pub slopes: Vec<f32>,
    /// Σ over the masks of each attribute that sleep, of their means.
    pub asleep: Vec<f32>,
}

impl LossGradient {
    /// For readout weights [K, C] and masks of so many pixels.
    pub fn new(
        readout: &Tensor,
        constants: Constants,
        loss: &LossOfPart,
        pixels: usize,
    ) -> Result<Self> {
        let LossOfPart { labels, weights, images, penalty } = *loss;
        let Constants { offsets, slopes, asleep } = constants;
        Ok(Self {
            readout: readout.flatten_all()?.to_vec1()?,
            offsets: offsets.flatten_all()?.to_vec1()?,
            slopes,
            labels: labels.flatten_all()?.to_vec1()?,
            weights: weights.unwrap_or_default().to_vec(),
            images,
            attributes: readout.dim(0)?,
            of_mean: penalty.of_mean(pixels, images, readout.elem_count()),
            penalty,
            asleep,
        })
    }
}

impl LossOfMeans for LossGradient {
    fn gradient(
        &self,
        image: usize,
        attribute: usize,
        [features, masks]: [&[f32]; 2],
        [of_features, of_masks]: [&mut [f32]; 2],
    ) {
        let weights = &self.readout[attribute * features.len()..][..features.len()];
        let products = weights.iter().zip(features).map(|(&w, &p)| f64::from(w) * f64::from(p));
        let slope = f64::from(self.slopes[image]);
        let place = image * self.attributes + attribute;
        let logit = f64::from(self.offsets[place]) + slope * products.sum::<f64>();
        // The derivative of Eq. 8: the probability less the label.
        let weight = self.weights.get(image).map_or(1., |&weight| f64::from(weight));
        let label = f64::from(self.labels[place]);
        let of_logit = weight * (1. / (1. + (-logit).exp()) - label) / self.images as f64;
        for (out, &w) in of_features.iter_mut().zip(weights) {
            *out = (of_logit * slope * f64::from(w)) as f32;
        }
        let asleep = self.asleep.get(attribute).copied().unwrap_or_default();
        self.penalty.gradient(masks, asleep, self.of_mean, of_masks);
    }
}
