//! ANet of LNets+ANet before it learns attributes: it tells people.
//!
//! What the paper did (Liu et al., 2015): ANet is pretrained to tell the identities of 8,000 people
//! of CelebFaces, by the softmax loss and a similarity loss (Sun et al., 2014), and then trained on
//! attributes.
//!
//! What we do: ANet sees the window that both LNets would cut in the middle of the image, and a
//! linear layer on its features answers for each person. It is trained by the cross entropy of the
//! softmax ([`softmax_cross_entropy`]) and, if [`AnetConfig::similarity`] asks for it, by how far
//! apart the features of the same person are ([`dissimilarity`]). Its weights go on in LNets+ANet
//! ([`Baseline::take_over`](crate::Baseline::take_over)); the layer that tells people does not.
//!
//! Where they differ: the people are those of the training images. Pairs of the same person are
//! those that a shuffled batch happens to have. Features of different people are not pushed apart,
//! as Sun et al. do up to a margin: that is left to the softmax.

use candle_core::{D, Device, Tensor};
use foresee_graph::Graph;
use serde::{Deserialize, Serialize};

use crate::draw::Initial;
use crate::error::{Result, check};
use crate::layers::{Built, Layers};
use crate::lnets_anet::LnetsAnetConfig;

/// The ANet of a configuration of LNets+ANet, and people to tell.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_baselines::{AnetConfig, Baseline, LnetsAnetConfig, System};
///
/// let lnets_anet =
///     LnetsAnetConfig { image_size: 32, face_size: 32, width: 4, ..Default::default() };
/// let anet = AnetConfig { lnets_anet: lnets_anet.clone(), people: 7, similarity: 0.05 };
/// let telling = Baseline::new(System::Anet(anet), 1, &Device::Cpu)?;
/// let images = Tensor::zeros((2, 3, 32, 32), DType::F32, &Device::Cpu)?;
/// assert_eq!(telling.forward(&images)?.dims(), [2, 7]);
/// // All of ANet goes on: five layers, each with a batch norm's four tensors, of which two have
/// // four convolutions and three have one.
/// let network = Baseline::new(System::LnetsAnet(lnets_anet), 2, &Device::Cpu)?;
/// assert_eq!(network.take_over(&telling)?, 5 * 4 + 2 * 4 + 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnetConfig {
    /// The network that ANet is a part of. Its number of attributes does not matter.
    pub lnets_anet: LnetsAnetConfig,
    /// How many people there are, 2 to 1,000,000.
    pub people: usize,
    /// How much it counts in the loss that features of the same person are apart, 0 to 1000; 0.05
    /// in the work that the paper has it from. 0, which a file that does not say means: not at all.
    #[serde(default)]
    pub similarity: f64,
}

impl AnetConfig {
    /// The network with initial weights: images [B, 3, H, W] → logits [B, people], and the features
    /// [B, hidden] that they are of.
    ///
    /// # Errors
    /// If the configuration is impossible.
    pub fn graph(&self, seed: u64, device: &Device) -> Result<Graph> {
        Ok(self.build(seed, device)?.graph)
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.lnets_anet.check()?;
        let is_possible = (2..=1_000_000).contains(&self.people);
        check("people", self.people, is_possible, "a number from 2 to 1000000")?;
        let is_possible = (0. ..=1000.).contains(&self.similarity);
        check("similarity", self.similarity, is_possible, "a number from 0 to 1000")
    }

    pub(crate) fn build(&self, seed: u64, device: &Device) -> Result<Built> {
        self.check()?;
        let Self { lnets_anet, people, .. } = self;
        let mut layers = Layers::new(seed, device);
        let images = layers.images([Some(lnets_anet.image_size); 2])?;
        let window = lnets_anet.middle(&mut layers, images)?;
        let features = lnets_anet.anet(&mut layers, window)?;
        let shape = [*people, lnets_anet.hidden];
        let initial = [Initial::linear(lnets_anet.hidden); 2];
        let answers = layers.linear("people", features, shape, initial)?;
        layers.finish(vec![answers, features])
    }
}

/// Cross entropy of the softmax, averaged over the images: for logits z [B, P] and labels y [B, P],
/// of which one in a row is 1 and the others are 0, log Σ_p exp z_p - Σ_p y_p·z_p, which counts
/// `weights[i]` times for image i; `None`: once.
pub(crate) fn softmax_cross_entropy(
    logits: &Tensor,
    labels: &Tensor,
    weights: Option<&[f32]>,
) -> candle_core::Result<Tensor> {
    // exp of what is not above 0 stays finite.
    let most = logits.detach().max_keepdim(D::Minus1)?;
    let sum = logits.broadcast_sub(&most)?.exp()?.sum_keepdim(D::Minus1)?;
    let chosen = (logits * labels)?.sum_keepdim(D::Minus1)?;
    let mut each = ((sum.log()? + most)? - chosen)?;
    let images = logits.dim(0)?;
    if let Some(weights) = weights {
        each = (each * Tensor::from_slice(weights, (images, 1), logits.device())?)?;
    }
    each.sum_all()? / images as f64
}

/// How far apart the features of the same person are: half of the squared distances of all pairs of
/// images of one person, over the number of images. For features f [B, D] and labels y [B, P],
/// ½·Σ_{i<j} s_ij·|f_i - f_j|²/B with s = y·yᵀ. A pair counts by the mean of its images'
/// weights.
pub(crate) fn dissimilarity(
    features: &Tensor,
    labels: &Tensor,
    weights: Option<&[f32]>,
) -> candle_core::Result<Tensor> {
    let images = features.dim(0)?;
    let mut same = labels.matmul(&labels.t()?)?;
    if let Some(weights) = weights {
        let weights = (Tensor::from_slice(weights, (images, 1), features.device())? * 0.5)?;
        same = (same * weights.broadcast_add(&weights.t()?)?)?;
    }
    // Σ_{i<j} s_ij·|f_i - f_j|² = Σ_i (Σ_j s_ij)·|f_i|² - Σ_ij s_ij·f_i·f_j.
    let lengths = features.sqr()?.sum_keepdim(1)?;
    let alone = (same.sum_keepdim(1)? * lengths)?.sum_all()?;
    let together = (same * features.matmul(&features.t()?)?)?.sum_all()?;
    (alone - together)? * (0.5 / images as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cross_entropy_by_hand() -> Result<()> {
        // Probabilities (1/4, 3/4) and, although exp of it is infinite, (1/2, 1/2).
        let logits = Tensor::new(&[[0f32, 3f32.ln()], [300., 300.]], &Device::Cpu)?;
        let labels = Tensor::new(&[[0f32, 1.], [1., 0.]], &Device::Cpu)?;
        let of = |weights: Option<&[f32]>| -> Result<f32> {
            Ok(softmax_cross_entropy(&logits, &labels, weights)?.to_scalar()?)
        };
        let [first, second] = [(4f32 / 3.).ln(), 2f32.ln()];
        for (weights, expected) in [(None, first + second), (Some(&[0f32, 3.][..]), 3. * second)] {
            let found = of(weights)?;
            assert!((found - expected / 2.).abs() < 1e-4, "{found}, expected {expected}");
        }
        Ok(())
    }

    #[test]
    fn the_distance_of_pairs_by_hand() -> Result<()> {
        // Images 0, 1 and 3 are of one person: |(3, 4)|² = 25, |(1, 0)|² = 1, |(2, 4)|² = 20.
        // Weighted by 1, 1.5 and 2.5 that is 76.5.
        let features = Tensor::new(&[[0f32, 0.], [3., 4.], [9., 9.], [1., 0.]], &Device::Cpu)?;
        let labels = Tensor::new(&[[1f32, 0.], [1., 0.], [0., 1.], [1., 0.]], &Device::Cpu)?;
        let features = candle_core::Var::from_tensor(&features)?;
        for (weights, pairs) in [(None, 46.), (Some(&[0f32, 2., 5., 3.][..]), 76.5)] {
            let found = dissimilarity(&features, &labels, weights)?.to_scalar::<f32>()?;
            assert!((found - pairs / 8.).abs() < 1e-5, "{found}, expected {}", pairs / 8.);
        }
        // The gradient of image 1 is ((f_1 - f_0) + (f_1 - f_3))/4; that of image 2 is 0.
        let gradients = dissimilarity(&features, &labels, None)?.backward()?;
        let gradient = gradients.get(&features).map(Tensor::to_vec2::<f32>).transpose()?;
        let gradient = gradient.unwrap_or_default();
        for (found, expected) in gradient[1..3].iter().flatten().zip([1.25, 2., 0., 0.]) {
            assert!((found - expected).abs() < 1e-5, "{gradient:?}");
        }
        Ok(())
    }

    #[test]
    fn the_middle_window_is_what_centred_windows_show() -> Result<()> {
        // An image that grows by 1 from column to column: the window grows by 0.765·H/N.
        let lnets_anet =
            LnetsAnetConfig { image_size: 32, face_size: 16, width: 2, ..Default::default() };
        let graph = AnetConfig { lnets_anet, people: 2, similarity: 0. }.graph(1, &Device::Cpu)?;
        let columns = Tensor::arange(0f32, 32., &Device::Cpu)?.reshape((1, 1, 1, 32))?;
        let images = columns.broadcast_as((1, 3, 32, 32))?.contiguous()?;
        let given = graph.given(&[images])?;
        let window = graph.find(crate::FACE_WINDOW)?;
        let window = graph.evaluate(&given, &[window])?.remove(0);
        let row = window.flatten_all()?.to_vec1::<f32>()?;
        // The first pixel's centre: (1 - 0.765)/2·32 + ½·0.765·32/16 - ½.
        for (o, value) in row[..16].iter().enumerate() {
            let expected = 3.76 + 0.765 - 0.5 + 1.53 * o as f32;
            assert!((value - expected).abs() < 1e-4, "{o}: {value}, expected {expected}");
        }
        Ok(())
    }
}
