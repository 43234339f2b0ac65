//! Scores of one method's maps: deletion, insertion and the pointing game.

use candle_core::{D, Tensor};

use super::deletion_insertion::{deletion, insertion};
use super::pointing_game::{Pointing, pointing_game};
use crate::baseline::blur;
use crate::error::Result;
use crate::target::Target;

/// Pixels are inserted into the image blurred by this share of its width.
const BLUR: f64 = 1. / 6.;

/// How good one map is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// Area under f while pixels become 0, those of the greatest values first; lower is better.
    pub deletion: f64,
    /// Area under f while pixels are inserted into the blurred image; higher is better.
    pub insertion: f64,
    /// How the map meets the region that is to be found; `None` if it is not known or empty.
    pub pointing: Option<Pointing>,
}

/// Scores of maps [B, H, W] of images x [B, C, H, W]: [`deletion`] to 0 and [`insertion`] into the
/// blurred image, both in `steps` steps, and the [`pointing_game`] with tolerance 0 if the
/// `regions` [B, H, W] are known.
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
    let blurred = blur(x, BLUR * x.dim(D::Minus1)? as f64)?;
    let deletions = deletion(target, x, maps, None, steps)?;
    let insertions = insertion(target, x, maps, Some(&blurred), steps)?;
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
