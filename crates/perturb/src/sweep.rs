//! Figures 7 and 8: accuracy over the strength of an operation. Features are computed once for all
//! settings.

use candle_core::Tensor;
use foresee_kernels::ToneCurve;

use crate::error::Result;
use crate::model::{AttentionModel, GatedModel};
use crate::noise::{Noise, add_noise};
use crate::prune::Cut;
use crate::tally::Tally;

/// Classifies the same images with each of many smaller networks. Returns a tally for each cut of
/// each curve, `[curve][cut]`. All read the features of the unpruned network, which are computed
/// once. The networks of a curve are run together
/// ([`logits_of_cuts`](AttentionModel::logits_of_cuts)).
///
/// A curve is a list of cuts, such as a `Vec<Cut>` or a [`PruneCurve`](crate::PruneCurve).
/// `batches` yields images [B, C, H, W] and labels [B, K], or classes `[B]` as [`Tally::add`] takes
/// them.
///
/// ```
/// use candle_core::{Device, Result, Tensor};
/// use foresee_perturb::{AttentionModel, Cut, Error, GatedModel, ToneCurve, prune_curves};
///
/// /// Its features are the image's channels, and its one logit is their sum.
/// struct Sum(usize);
///
/// impl GatedModel for Sum {
///     fn features(&self, images: &Tensor) -> Result<Tensor> {
///         Ok(images.clone())
///     }
///     fn logits_with_curves(&self, z: &Tensor, curves: &[&dyn ToneCurve]) -> Result<Vec<Tensor>> {
///         curves.iter().map(|_| self.logits(z)).collect()
///     }
/// }
///
/// impl AttentionModel for Sum {
///     fn channels(&self) -> usize {
///         self.0
///     }
///     fn logits(&self, features: &Tensor) -> Result<Tensor> {
///         features.mean((2, 3))?.sum_keepdim(1)
///     }
///     fn cut(&self, cut: &Cut) -> Result<Self> {
///         Ok(Self(cut.kept().len()))
///     }
/// }
///
/// let image = Tensor::new(&[-1f32, 2., -0.5], &Device::Cpu)?.reshape((1, 3, 1, 1))?;
/// let label = Tensor::new(&[[1f32]], &Device::Cpu)?;
/// let batches = vec![Ok::<_, Error>((image, label))];
/// let curve = vec![Cut::Plain(vec![0, 1, 2]), Cut::Plain(vec![0, 2])];
/// let tallies = prune_curves(&Sum(3), &[curve], batches.into_iter())?;
/// // -1 + 2 - 0.5 is above 0, as the label says; -1 - 0.5 is not.
/// assert_eq!(tallies[0][0].accuracy(), 1.);
/// assert_eq!(tallies[0][1].accuracy(), 0.);
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
/// The first error of a batch or of the model.
pub fn prune_curves<M: AttentionModel, E: From<crate::Error>>(
    model: &M,
    curves: &[impl AsRef<[Cut]>],
    batches: impl Iterator<Item = std::result::Result<(Tensor, Tensor), E>>,
) -> std::result::Result<Vec<Vec<Tally>>, E> {
    let mut tallies: Vec<Vec<Tally>> =
        curves.iter().map(|curve| vec![Tally::default(); curve.as_ref().len()]).collect();
    for batch in batches {
        let (images, labels) = batch?;
        let features = model.features(&images).map_err(crate::Error::from)?;
        // With nothing pruned, all curves are the same network.
        let unpruned = model.logits(&features).map_err(crate::Error::from)?;
        for (curve, tallies) in curves.iter().zip(&mut tallies) {
            let logits = logits_of_curve(model, &features, curve.as_ref(), &unpruned)?;
            for (logits, tally) in logits.iter().zip(tallies) {
                tally.add(logits, &labels)?;
            }
        }
    }
    Ok(tallies)
}

/// The logits of each cut of a curve. A cut that keeps all channels is the unpruned network.
fn logits_of_curve<M: AttentionModel>(
    model: &M,
    features: &Tensor,
    cuts: &[Cut],
    unpruned: &Tensor,
) -> Result<Vec<Tensor>> {
    let is_smaller = |cut: &&Cut| cut.kept().len() != model.channels();
    let smaller: Vec<&Cut> = cuts.iter().filter(is_smaller).collect();
    let mut logits = model.logits_of_cuts(features, &smaller)?.into_iter();
    let of_cut = |cut: &Cut| match is_smaller(&cut) {
        true => logits.next().ok_or_else(|| too_few(smaller.len())),
        false => Ok(unpruned.clone()),
    };
    cuts.iter().map(of_cut).collect()
}

fn too_few(cuts: usize) -> crate::Error {
    let message = format!("the model's logits_of_cuts gave fewer results than the {cuts} cuts");
    candle_core::Error::Msg(message).into()
}

/// Classifies images with noise of each σ under each tone curve. Returns a tally for each curve at
/// each σ, `[σ][curve]`. For each σ the model's [`features`](GatedModel::features) are computed
/// once for all curves; those of a [`GatedGraph`](crate::GatedGraph), whose gates may come
/// anywhere, are the images.
///
/// `noise.sigma` is not used. `batches` yields images [B, C, H, W], labels [B, K] or classes
/// `[B]`, and the images' numbers, which decide their noise.
///
/// # Errors
/// The first error of a batch or of the model.
pub fn transform_grid<M: GatedModel, E: From<crate::Error>>(
    model: &M,
    noise: &Noise,
    sigmas: &[f64],
    curves: &[&dyn ToneCurve],
    batches: impl Iterator<Item = std::result::Result<(Tensor, Tensor, Vec<usize>), E>>,
) -> std::result::Result<Vec<Vec<Tally>>, E> {
    let mut tallies = vec![vec![Tally::default(); curves.len()]; sigmas.len()];
    for batch in batches {
        let (images, labels, numbers) = batch?;
        for (&sigma, tallies) in sigmas.iter().zip(&mut tallies) {
            let noisy = add_noise(&images, &numbers, &Noise { sigma, ..noise.clone() })?;
            let features = model.features(&noisy).map_err(crate::Error::from)?;
            let logits = model.logits_with_curves(&features, curves).map_err(crate::Error::from)?;
            for (logits, tally) in logits.iter().zip(tallies) {
                tally.add(logits, &labels)?;
            }
        }
    }
    Ok(tallies)
}
