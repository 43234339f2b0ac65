//! Scores of maps: deletion, insertion and the pointing game.

use candle_core::{D, Tensor};

use super::curve::{curves_between, ranks};
use super::deletion_insertion::counts;
use super::pointing_game::{Pointing, pointing_game};
use crate::baseline::{baseline_like, blur};
use crate::error::Result;
use crate::target::Target;

/// Pixels are inserted into the image blurred by this share of its width.
const BLUR: f64 = 1. / 6.;

/// How good one map is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Scores {
    /// Area under f while pixels become 0, those of the greatest values first; lower is better.
    pub deletion: f64,
    /// Area under f while pixels are inserted into the blurred image; higher is better.
    pub insertion: f64,
    /// How the map meets the region that is to be found; `None` if it is not known or empty.
    pub pointing: Option<Pointing>,
}

/// Images on which maps of several methods are scored, with what all of these share: f at both ends
/// of each curve is that of the image, of zeros and of the blurred image, whatever the map.
#[derive(Debug, Clone)]
pub struct ScoredImages<'a, F> {
    target: &'a Target<F>,
    x: End,
    zero: End,
    blurred: End,
}

/// An end of a curve: images [B, C, H, W], and f of each.
#[derive(Debug, Clone)]
struct End {
    images: Tensor,
    values: Vec<f64>,
}

impl End {
    fn new<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
        target: &Target<F>,
        images: Tensor,
    ) -> Result<Self> {
        let values = target.numbers(&images)?;
        Ok(Self { images, values })
    }

    fn parts(&self) -> (&Tensor, &[f64]) {
        (&self.images, &self.values)
    }
}

impl<'a, F: Fn(&Tensor) -> candle_core::Result<Tensor>> ScoredImages<'a, F> {
    /// Images x [B, C, H, W]; three evaluations of f for each.
    ///
    /// # Errors
    /// If x are no images, or the model fails.
    pub fn new(target: &'a Target<F>, x: &Tensor) -> Result<Self> {
        let x = x.detach().contiguous()?;
        let blurred = blur(&x, BLUR * x.dim(D::Minus1)? as f64)?;
        let zero = baseline_like(&x, None)?;
        Ok(Self {
            target,
            zero: End::new(target, zero)?,
            blurred: End::new(target, blurred)?,
            x: End::new(target, x)?,
        })
    }

    /// [`score`] of maps [B, H, W] of these images: 2·(steps - 1) evaluations of f for each.
    ///
    /// # Errors
    /// As for [`score`].
    pub fn score(
        &self,
        maps: &Tensor,
        regions: Option<&Tensor>,
        steps: usize,
    ) -> Result<Vec<Scores>> {
        let Self { target, x, zero, blurred } = self;
        let ranks = ranks(&x.images, maps)?;
        let counts = counts(&ranks, steps)?;
        let deletions = curves_between(target, x.parts(), zero.parts(), &ranks, &counts)?;
        let insertions = curves_between(target, blurred.parts(), x.parts(), &ranks, &counts)?;
        let points = match regions {
            Some(regions) => pointing_game(maps, regions, 0.)?,
            None => vec![None; deletions.len()],
        };
        let curves = deletions.iter().zip(&insertions);
        Ok(curves
            .zip(points)
            .map(|((deletion, insertion), pointing)| Scores {
                deletion: deletion.area(),
                insertion: insertion.area(),
                pointing,
            })
            .collect())
    }
}

/// Scores of maps [B, H, W] of images x [B, C, H, W]: [`deletion`](crate::deletion()) to 0 and
/// [`insertion`](crate::insertion()) into the blurred image, both in `steps` steps, and the
/// [`pointing_game`] with tolerance 0 if the `regions` [B, H, W] are known. For maps of several
/// methods, [`ScoredImages`] takes less.
///
/// # Errors
/// As for these measures.
pub fn score<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    maps: &Tensor,
    regions: Option<&Tensor>,
    steps: usize,
) -> Result<Vec<Scores>> {
    ScoredImages::new(target, x)?.score(maps, regions, steps)
}
