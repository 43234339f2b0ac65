//! Do the masks of an attribute lie where the attribute is?

use candle_core::Tensor;
use foresee_stats::{Interval, LEVEL, RESAMPLES, Verdict, crossed_interval, mean};

use crate::error::Result;
use crate::masks::concentration;

/// An attribute whose region is at least this share of the area, such as blur, is everywhere and
/// has no place to look at.
pub const LARGEST_AREA: f64 = 0.8;
/// Share of the attributes that must be focused for the claim to hold.
pub const FOCUSED_SHARE: f64 = 0.9;
/// The least ratio of masses that matters.
pub const LEAST_FOCUS: f64 = 1.1;
/// Ratios below this are raised to it, because their logarithms are averaged.
const SMALLEST_RATIO: f64 = 1e-6;

/// The mean of some channels of masks [C, H, W], each divided by its sum: `[H·W]`, row by row. Its
/// mass is 1, or less if masks are 0 everywhere.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_analysis::mean_map;
///
/// // Two masks of 1 × 2 positions.
/// let masks = Tensor::new(&[[[1f32, 3.]], [[2., 2.]]], &Device::Cpu)?;
/// assert_eq!(mean_map(&masks, &[0])?, [0.25, 0.75]);
/// assert_eq!(mean_map(&masks, &[0, 1])?, [0.375, 0.625]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If there is no such channel or candle fails.
pub fn mean_map(masks: &Tensor, channels: &[usize]) -> Result<Vec<f64>> {
    let mut map = vec![];
    for &channel in channels {
        let mask: Vec<f32> = masks.get(channel)?.flatten_all()?.to_vec1()?;
        let mass: f64 = mask.iter().map(|&m| f64::from(m)).sum();
        map.resize(mask.len(), 0.);
        if mass > 0. {
            map.iter_mut()
                .zip(mask)
                .for_each(|(sum, m)| *sum += f64::from(m) / mass / channels.len() as f64);
        }
    }
    Ok(map)
}

/// How much of the attributes' masks lies in the region of one attribute on one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegionFocus {
    /// The region's share of the area, in [0, 1].
    pub area: f64,
    /// [`concentration`] of the attribute's own map in its region.
    pub own: f64,
    /// Mean [`concentration`] of the other attributes' maps in the same region; NaN if none of them
    /// has any mass.
    pub others: f64,
}

impl RegionFocus {
    /// Of the `maps` `[K][H·W]` of all attributes on an image, in the `region` `[H·W]` of one
    /// `attribute`. `None` if the region or the attribute's own map is empty.
    ///
    /// # Panics
    /// If there is no map of the attribute, or a map is not of the region's size.
    pub fn new(maps: &[Vec<f64>], region: &[f64], attribute: usize) -> Option<Self> {
        let each: Vec<Option<f64>> = maps.iter().map(|map| concentration(map, region)).collect();
        let own = each[attribute]?;
        let others: Vec<f64> = each
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != attribute)
            .filter_map(|(_, value)| *value)
            .collect();
        Some(Self { area: mean(region), own, others: mean(&others) })
    }
}

/// How much of the attributes' masks lies in the regions of one attribute, mean over images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Focus {
    /// Number of the attribute.
    pub attribute: usize,
    /// Number of images.
    pub images: usize,
    /// Mean of [`RegionFocus::area`].
    pub area: f64,
    /// Mean of [`RegionFocus::own`].
    pub own: f64,
    /// Mean of [`RegionFocus::others`].
    pub others: f64,
}

impl Focus {
    /// The mean over images; `None` if there is no image.
    pub fn new(attribute: usize, images: &[RegionFocus]) -> Option<Self> {
        let mean_of =
            |value: fn(&RegionFocus) -> f64| mean(&images.iter().map(value).collect::<Vec<_>>());
        (!images.is_empty()).then(|| Self {
            attribute,
            images: images.len(),
            area: mean_of(|image| image.area),
            own: mean_of(|image| image.own),
            others: mean_of(|image| image.others),
        })
    }
}

/// What the mass of an attribute's masks in its region is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FocusBaseline {
    /// Masks that are spread evenly over the image.
    Even,
    /// The masks of the other attributes in the same region.
    OtherAttributes,
}

impl FocusBaseline {
    /// All baselines.
    pub const ALL: [Self; 2] = [Self::Even, Self::OtherAttributes];

    /// The baseline for people, as in "mass in the region over the region's area".
    pub fn title(self) -> &'static str {
        match self {
            Self::Even => "the region's area",
            Self::OtherAttributes => "that of the other attributes' masks",
        }
    }

    /// How many times as much mass lies in the region as by the baseline.
    pub fn ratio(self, focus: &Focus) -> f64 {
        match self {
            Self::Even => focus.own,
            Self::OtherAttributes => focus.own / focus.others,
        }
    }
}

/// How many times as much of the attributes' masks lies in their regions as by a baseline. All
/// means are geometric.
#[derive(Debug, Clone, PartialEq)]
pub struct FocusOverSeeds {
    /// The mean over attributes and seeds, whose interval draws attributes.
    pub interval: Interval,
    /// The mean over attributes of each seed.
    pub seeds: Vec<f64>,
    /// Numbers of the attributes with the mean over seeds, highest first.
    pub attributes: Vec<(usize, f64)>,
    /// Number of attributes whose mean over seeds is above 1.
    pub focused: usize,
    /// [`Verdict::of_gain`] of the logarithms with the margin ln [`LEAST_FOCUS`]; it holds only in
    /// part if less than the share [`FOCUSED_SHARE`] of the attributes is focused.
    pub verdict: Verdict,
}

/// Compares the masks' mass with a baseline, for networks from several `seeds`, each with the
/// [`Focus`] of its attributes. Attributes count that every seed has, with a ratio that is known,
/// and whose region is in every seed smaller than [`LARGEST_AREA`].
///
/// # Errors
/// If there is no seed or no attribute that counts.
pub fn focus_over_seeds(seeds: &[Vec<Focus>], baseline: FocusBaseline) -> Result<FocusOverSeeds> {
    let attributes = common_attributes(seeds, baseline);
    // [seed][attribute]
    let logs: Vec<Vec<f64>> = seeds
        .iter()
        .map(|seed| attributes.iter().filter_map(|&k| log_ratio(seed, k, baseline)).collect())
        .collect();
    let counts = [seeds.len(), attributes.len()];
    let log = crossed_interval(counts, RESAMPLES, LEVEL, 0, |seeds, drawn| {
        let of_seed = |&s: &usize| mean(&drawn.iter().map(|&a| logs[s][a]).collect::<Vec<_>>());
        mean(&seeds.iter().map(of_seed).collect::<Vec<_>>())
    })?;
    let by_seed: Vec<f64> = logs.iter().map(|seed| mean(seed)).collect();
    let by_attribute: Vec<f64> = (0..attributes.len())
        .map(|a| mean(&logs.iter().map(|seed| seed[a]).collect::<Vec<_>>()))
        .collect();
    let focused = by_attribute.iter().filter(|v| **v > 0.).count();
    let mut ordered: Vec<(usize, f64)> =
        attributes.iter().copied().zip(by_attribute.iter().map(|v| v.exp())).collect();
    ordered.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(FocusOverSeeds {
        interval: log.map(f64::exp),
        verdict: verdict(&log, &by_seed, focused, attributes.len()),
        seeds: by_seed.into_iter().map(f64::exp).collect(),
        attributes: ordered,
        focused,
    })
}

/// Numbers of the attributes that count, ascending.
fn common_attributes(seeds: &[Vec<Focus>], baseline: FocusBaseline) -> Vec<usize> {
    let mut attributes: Vec<usize> = seeds.iter().flatten().map(|focus| focus.attribute).collect();
    attributes.sort_unstable();
    attributes.dedup();
    attributes.retain(|&k| seeds.iter().all(|seed| log_ratio(seed, k, baseline).is_some()));
    attributes
}

/// The focus of an attribute whose region is not everywhere.
fn located(seed: &[Focus], attribute: usize) -> Option<&Focus> {
    seed.iter().find(|focus| focus.attribute == attribute && focus.area < LARGEST_AREA)
}

/// Within ln [`SMALLEST_RATIO`] of 0; none if the ratio is not known.
fn log_ratio(seed: &[Focus], attribute: usize, baseline: FocusBaseline) -> Option<f64> {
    let ratio = baseline.ratio(located(seed, attribute)?);
    (!ratio.is_nan()).then(|| ratio.clamp(SMALLEST_RATIO, 1. / SMALLEST_RATIO).ln())
}

fn verdict(log: &Interval, seeds: &[f64], focused: usize, attributes: usize) -> Verdict {
    match Verdict::of_gain(log, seeds, LEAST_FOCUS.ln()) {
        Verdict::Holds if (focused as f64) < FOCUSED_SHARE * attributes as f64 => Verdict::InPart,
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn maps_by_hand() -> Result<()> {
        let masks = Tensor::new(&[[[1f32, 3.]], [[9., 9.]], [[0., 0.]], [[2., 2.]]], &Device::Cpu)?;
        assert_eq!(mean_map(&masks, &[0])?, [0.25, 0.75]);
        assert_eq!(mean_map(&masks, &[0, 3])?, [0.375, 0.625]);
        // A mask that is 0 everywhere adds nothing.
        assert_eq!(mean_map(&masks, &[0, 2])?, [0.125, 0.375]);
        assert!(mean_map(&masks, &[4]).is_err());
        Ok(())
    }

    #[test]
    fn regions_by_hand() {
        let maps = [vec![0.75, 0.25, 0., 0.], vec![0., 0., 0.5, 0.5], vec![0.25; 4], vec![0.; 4]];
        let region = [1., 0., 0., 0.];
        // Own: 0.75 over a quarter of the area; others: 0 and 1, the last has no mass.
        let found = RegionFocus::new(&maps, &region, 0).unwrap();
        assert_eq!(found, RegionFocus { area: 0.25, own: 3., others: 0.5 });
        assert_eq!(RegionFocus::new(&maps, &region, 3), None);
        assert_eq!(RegionFocus::new(&maps, &[0.; 4], 0), None);
        let other = RegionFocus { area: 0.75, own: 1., others: 0.25 };
        let expected = Focus { attribute: 7, images: 2, area: 0.5, own: 2., others: 0.375 };
        assert_eq!(Focus::new(7, &[found, other]), Some(expected));
        assert_eq!(Focus::new(7, &[]), None);
    }

    fn focus(attribute: usize, area: f64, own: f64, others: f64) -> Focus {
        Focus { attribute, images: 1, area, own, others }
    }

    #[test]
    fn seeds_by_hand() -> Result<()> {
        // Attribute 2 is everywhere, and attribute 3 is missing in one seed.
        let seed = |scale: f64| {
            vec![
                focus(0, 0.1, 2. * scale, 0.5),
                focus(1, 0.1, 8. * scale, 8. * scale),
                focus(2, 0.8, 1., 1.),
            ]
        };
        let mut seeds = vec![seed(0.5), seed(1.), seed(2.)];
        seeds[0].push(focus(3, 0.1, 1., 1.));
        let even = focus_over_seeds(&seeds, FocusBaseline::Even)?;
        // Geometric means of 2 and 8, times the scale of each seed.
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(even.seeds.iter().zip([2., 4., 8.]).all(|(a, b)| close(*a, b)), "{even:?}");
        assert!(close(even.interval.estimate, 4.), "{even:?}");
        assert_eq!(even.attributes.iter().map(|a| a.0).collect::<Vec<_>>(), [1, 0]);
        assert!(close(even.attributes[0].1, 8.) && close(even.attributes[1].1, 2.), "{even:?}");
        assert_eq!(even.focused, 2);
        // Attribute 1 is not above the others: one of two is focused.
        let others = focus_over_seeds(&seeds, FocusBaseline::OtherAttributes)?;
        assert!(close(others.attributes[0].1, 4.) && close(others.attributes[1].1, 1.));
        assert_eq!(others.focused, 1);
        assert!(focus_over_seeds(&[], FocusBaseline::Even).is_err());
        Ok(())
    }

    #[test]
    fn the_claim_needs_most_attributes() {
        let log = |low, high| Interval { estimate: (low + high) / 2., low, high, level: LEVEL };
        assert_eq!(verdict(&log(0.1, 1.), &[0.5; 3], 9, 10), Verdict::Holds);
        assert_eq!(verdict(&log(0.1, 1.), &[0.5; 3], 8, 10), Verdict::InPart);
        assert_eq!(verdict(&log(-1., 0.09), &[0.1; 3], 10, 10), Verdict::DoesNotHold);
        assert_eq!(verdict(&log(-1., 0.1), &[0.1; 3], 10, 10), Verdict::NotDecided);
    }
}
