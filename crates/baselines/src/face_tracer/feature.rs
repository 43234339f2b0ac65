//! Features: a region, a kind of pixels, a normalisation and an aggregation.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::planes::{PixelType, Planes};
use super::region::{COLUMNS, ROWS, Region};

/// How the values of a region are made comparable between images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueNormalisation {
    /// As they are.
    None,
    /// x/μ: without the illumination's strength.
    Mean,
    /// (x - μ)/σ: without its offset, too.
    Energy,
}

/// How the values of a region become a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The values side by side.
    Values,
    /// How many values fall into each of 16 bins, for each plane.
    Histogram,
    /// Mean and variance of each plane.
    Statistics,
}

/// A feature of a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Feature {
    /// Where.
    pub region: Region,
    /// Of which values.
    pub pixels: PixelType,
    /// How they are normalised.
    pub normalisation: ValueNormalisation,
    /// How they become a vector.
    pub aggregation: Aggregation,
}

/// Bins of a histogram.
const BINS: usize = 16;
/// What is divided by is at least this.
const SMALLEST: f32 = 1e-3;

impl ValueNormalisation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Mean, Self::Energy];

    /// A short name.
    pub fn id(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Mean => "mean",
            Self::Energy => "energy",
        }
    }

    fn apply(self, values: &mut [f32]) {
        let (mean, deviation) = moments(values);
        match self {
            Self::None => {}
            Self::Mean => values.iter_mut().for_each(|v| *v /= mean.max(SMALLEST)),
            Self::Energy => {
                values.iter_mut().for_each(|v| *v = (*v - mean) / deviation.max(SMALLEST));
            }
        }
    }

    /// Where histograms begin and end; what is beyond falls into the first or the last bin.
    fn range(self) -> (f32, f32) {
        match self {
            Self::None => (0., 1.),
            Self::Mean => (0., 2.),
            Self::Energy => (-3., 3.),
        }
    }
}

impl Aggregation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Values, Self::Histogram, Self::Statistics];

    /// A short name.
    pub fn id(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Histogram => "histogram",
            Self::Statistics => "statistics",
        }
    }

    fn apply(self, values: &[f32], range: (f32, f32), out: &mut Vec<f32>) {
        match self {
            Self::Values => halve(values, out),
            Self::Histogram => histogram(values, range, out),
            Self::Statistics => {
                let (mean, deviation) = moments(values);
                out.extend([mean, deviation * deviation]);
            }
        }
    }
}

impl Feature {
    /// All features. Statistics of energy-normalised values are left out: they are 0 and 1.
    pub fn all() -> Vec<Self> {
        let mut all = vec![];
        for region in Region::ALL {
            for pixels in PixelType::ALL {
                for normalisation in ValueNormalisation::ALL {
                    for aggregation in Aggregation::ALL {
                        let is_constant = normalisation == ValueNormalisation::Energy
                            && aggregation == Aggregation::Statistics;
                        if !is_constant {
                            all.push(Self { region, pixels, normalisation, aggregation });
                        }
                    }
                }
            }
        }
        all
    }

    /// Its vector for one image that shows these rows of CelebA's 218.
    pub(super) fn of(&self, planes: &Planes, rows: (f32, f32)) -> Vec<f32> {
        let mut vector = vec![];
        for plane in self.pixels.planes() {
            let mut values = self.region.samples(planes, plane, rows);
            self.normalisation.apply(&mut values);
            self.aggregation.apply(&values, self.normalisation.range(), &mut vector);
        }
        vector
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, pixels, normalisation, aggregation } = self;
        let (region, pixels) = (region.id(), pixels.id());
        write!(f, "{region}:{pixels}:{}:{}", normalisation.id(), aggregation.id())
    }
}

/// The mean and the standard deviation.
fn moments(values: &[f32]) -> (f32, f32) {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / count;
    (mean, variance.sqrt())
}

/// Means of 2 by 2 samples.
fn halve(values: &[f32], out: &mut Vec<f32>) {
    for row in (0..ROWS).step_by(2) {
        for column in (0..COLUMNS).step_by(2) {
            let at = row * COLUMNS + column;
            let four = [at, at + 1, at + COLUMNS, at + COLUMNS + 1].map(|at| values[at]);
            out.push(four.iter().sum::<f32>() / 4.);
        }
    }
}

/// Shares of the values in equal bins.
fn histogram(values: &[f32], (low, high): (f32, f32), out: &mut Vec<f32>) {
    let mut counts = [0f32; BINS];
    for value in values {
        let bin = ((value - low) / (high - low) * BINS as f32).floor();
        counts[(bin.max(0.) as usize).min(BINS - 1)] += 1.;
    }
    out.extend(counts.map(|count| count / values.len() as f32));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_features_differ() {
        let all = Feature::all();
        assert_eq!(all.len(), 10 * 5 * 8);
        let names: std::collections::BTreeSet<String> =
            all.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn normalisations_and_aggregations_by_hand() {
        let mut values = [1., 3., 1., 3.];
        ValueNormalisation::Mean.apply(&mut values);
        assert_eq!(values, [0.5, 1.5, 0.5, 1.5]);
        ValueNormalisation::Energy.apply(&mut values);
        assert_eq!(values, [-1., 1., -1., 1.]);
        let mut counted = vec![];
        histogram(&[0., 0.03, 0.07, 0.99, 1.5, -2.], (0., 1.), &mut counted);
        assert_eq!((counted[0], counted[1], counted[15]), (0.5, 1. / 6., 2. / 6.));
        assert_eq!(counted.iter().sum::<f32>(), 1.);
        let mut out = vec![];
        Aggregation::Statistics.apply(&[1., 3.], (0., 1.), &mut out);
        assert_eq!(out, [2., 1.]);
    }

    #[test]
    fn the_illuminations_strength_goes_with_the_mean() {
        let size = 32;
        let image: Vec<f32> =
            (0..3 * size * size).map(|i| 0.2 + 0.3 * ((i * 7) % 11) as f32 / 11.).collect();
        let brighter: Vec<f32> = image.iter().map(|v| v * 1.5).collect();
        // Hue, saturation and directions do not change anyway, and a value can change its bin.
        let scales = [PixelType::Rgb, PixelType::Intensity, PixelType::EdgeMagnitude];
        let normalised = Feature::all().into_iter().filter(|feature| {
            feature.normalisation != ValueNormalisation::None
                && scales.contains(&feature.pixels)
                && feature.aggregation != Aggregation::Histogram
        });
        let mut checked = 0;
        for feature in normalised {
            let of = |image: &[f32]| feature.of(&Planes::new(image, size), (20., 198.));
            let pairs = of(&image).into_iter().zip(of(&brighter));
            let off = pairs.map(|(a, b)| (a - b).abs() / (1. + a.abs())).fold(0., f32::max);
            assert!(off < 1e-3, "{feature}: {off}");
            checked += 1;
        }
        // Ten regions and three kinds of pixels; values of both, statistics of one normalisation.
        assert_eq!(checked, 10 * 3 * 3);
    }
}
