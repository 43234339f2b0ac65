//! How much of a map lies where it should (Arras et al., 2022; Kohlbrenner et al., 2020).

use candle_core::Tensor;

use super::regions::maps_and_regions;
use crate::error::Result;

/// How one map lies in its region. All are at most 1 but `weighted_mass`, and higher is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Localisation {
    /// Relevance mass accuracy (Arras et al.), which is the attribution localisation μ of
    /// Kohlbrenner et al.: the share of the map's positive values that is within the region. NaN
    /// for a map without positive values.
    pub mass: f64,
    /// The weighted attribution localisation (Kohlbrenner et al.): `mass`/`area`, how many times as
    /// much as chance. From 0 to 1/`area`.
    pub weighted_mass: f64,
    /// Relevance rank accuracy (Arras et al.): of as many greatest values as the region has pixels,
    /// the share that is within it. Of values that are equal to the least of these, as many as fit
    /// count, in the mean over their orders. NaN for a map of one value, which ranks nothing.
    pub rank: f64,
    /// Share of the image that the region is: what chance gets, for `mass` and `rank`.
    pub area: f64,
}

/// Localisation of maps [B, H, W] in regions [B, H, W], inside of which values are above 0. `None`
/// for an image without a region, which does not count. Negative values do not count for the mass:
/// this is the pooling "sum, pos" of Arras et al., and the definition of Kohlbrenner et al. Take
/// their absolute values first if they mean relevance, too.
///
/// Quantus sums signed values, so that its shares may be below 0 or above 1; for maps from 0 it has
/// the same `mass` and `rank`. Its weighted localisation multiplies by the region's size in shares
/// of all but the first two images of the batch, where the paper divides by the share of its own
/// image; here it is the paper's.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::localisation;
///
/// let map = Tensor::new(&[[[3f64, 1.], [-2., 0.]]], &Device::Cpu)?;
/// let region = Tensor::new(&[[[1f64, 0.], [0., 1.]]], &Device::Cpu)?;
/// let found = localisation(&map, &region)?[0].expect("a region");
/// // 3 of 3 + 1; of the two greatest values 3 and 1, one is inside.
/// assert_eq!((found.mass, found.weighted_mass, found.rank), (0.75, 1.5, 0.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the shapes differ, or the maps have no pixels or a value that is not finite.
pub fn localisation(maps: &Tensor, regions: &Tensor) -> Result<Vec<Option<Localisation>>> {
    let (maps, regions, [h, w]) = maps_and_regions(maps, regions)?;
    let pairs = maps.chunks(h * w).zip(regions.chunks(h * w));
    Ok(pairs.map(|(map, region)| localise(map, region)).collect())
}

fn localise(map: &[f64], region: &[f64]) -> Option<Localisation> {
    let inside: Vec<f64> =
        map.iter().zip(region).filter(|(_, region)| **region > 0.).map(|(v, _)| *v).collect();
    if inside.is_empty() {
        return None;
    }
    // In shares of the greatest value, so that the sums do not overflow; 0/0 is NaN.
    let greatest = map.iter().copied().fold(0., f64::max);
    let positive = |values: &[f64]| values.iter().map(|v| v.max(0.) / greatest).sum::<f64>();
    let area = inside.len() as f64 / map.len() as f64;
    let mass = positive(&inside) / positive(map);
    Some(Localisation { mass, weighted_mass: mass / area, rank: rank_accuracy(map, &inside), area })
}

fn rank_accuracy(map: &[f64], inside: &[f64]) -> f64 {
    let mut sorted = map.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let least = sorted[inside.len() - 1];
    if sorted.first() == sorted.last() {
        return f64::NAN;
    }
    let count = |values: &[f64], holds: &dyn Fn(f64) -> bool| {
        values.iter().filter(|v| holds(**v)).count() as f64
    };
    let places = inside.len() as f64 - count(map, &|v| v > least);
    let share_of_equal = places / count(map, &|v| v == least);
    let hits = count(inside, &|v| v > least) + share_of_equal * count(inside, &|v| v == least);
    hits / inside.len() as f64
}
