//! The pointing game (Zhang et al., 2016), for images where the pixels that matter are known.

use candle_core::Tensor;

use super::regions::maps_and_regions;
use crate::error::{Result, check};

/// How one map meets its region.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Pointing {
    /// 1 if the greatest value is within the region, 0 if not; with several greatest values, the
    /// share of them that is.
    pub hit: f64,
    /// Share of the map's positive values that is within the region (the energy-based game, Wang et
    /// al., 2020); 0 for a map without any.
    pub energy: f64,
    /// Share of the image that the region is: what a map without knowledge would get, for `energy`
    /// and, with tolerance 0, for `hit`.
    pub area: f64,
}

/// The pointing game for maps [B, H, W] and regions [B, H, W], inside of which values are above 0.
/// A hit may be outside by up to `tolerance` pixels (15 in the paper). `None` for an image without
/// a region, which does not count.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Pointing, pointing_game};
///
/// let map = Tensor::new(&[[[1f64, 3.], [0., 0.]]], &Device::Cpu)?;
/// let region = Tensor::new(&[[[0f64, 1.], [0., 0.]]], &Device::Cpu)?;
/// // The greatest value is inside, as are 3 of 4, in a quarter of the image.
/// let found = pointing_game(&map, &region, 0.)?;
/// assert_eq!(found, [Some(Pointing { hit: 1., energy: 0.75, area: 0.25 })]);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ, the maps have no pixels or a value that is not finite, or the tolerance is
/// not a number from 0.
pub fn pointing_game(
    maps: &Tensor,
    regions: &Tensor,
    tolerance: f64,
) -> Result<Vec<Option<Pointing>>> {
    check(
        tolerance >= 0. && tolerance.is_finite(),
        "tolerance",
        tolerance,
        "a number of pixels from 0",
    )?;
    let (maps, regions, [h, w]) = maps_and_regions(maps, regions)?;
    let pairs = maps.chunks(h * w).zip(regions.chunks(h * w));
    Ok(pairs.map(|(map, region)| pointing(map, region, w, tolerance)).collect())
}

fn pointing(map: &[f64], region: &[f64], w: usize, tolerance: f64) -> Option<Pointing> {
    let inside: Vec<usize> = (0..map.len()).filter(|&pixel| region[pixel] > 0.).collect();
    if inside.is_empty() {
        return None;
    }
    let greatest = map.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let distance =
        |a: usize, b: usize| ((a / w).abs_diff(b / w) as f64).hypot((a % w).abs_diff(b % w) as f64);
    let is_near = |peak: usize| {
        region[peak] > 0.
            || (tolerance > 0. && inside.iter().any(|&pixel| distance(peak, pixel) <= tolerance))
    };
    let peaks: Vec<usize> = (0..map.len()).filter(|&pixel| map[pixel] == greatest).collect();
    let hits = peaks.iter().filter(|&&peak| is_near(peak)).count();
    let positive: f64 = map.iter().map(|v| v.max(0.)).sum();
    let within: f64 = inside.iter().map(|&pixel| map[pixel].max(0.)).sum();
    Some(Pointing {
        hit: hits as f64 / peaks.len() as f64,
        energy: if positive > 0. { within / positive } else { 0. },
        area: inside.len() as f64 / map.len() as f64,
    })
}
