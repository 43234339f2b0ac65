//! All statistics of a network's features and masks, in one pass over images.

use candle_core::Tensor;
use foresee_stats::Matrix;

use crate::correlation::ChannelCorrelation;
use crate::error::{Error, Result};
use crate::importance::Importance;
use crate::masks::MeanMasks;

/// What one sample of the channel correlation (Figure 6) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum CorrelationSamples {
    /// The features at one position of one image.
    Positions,
    /// The mean over all positions of one image.
    Pooled,
}

impl CorrelationSamples {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Positions, Self::Pooled];

    /// The kind for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Positions => "every position of every image",
            Self::Pooled => "the average of every image",
        }
    }

    /// The kind in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::Positions => "positions",
            Self::Pooled => "pooled",
        }
    }

    /// The kind of an [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }
}

/// What a network with K attributes and C channels computes for B images.
#[derive(Debug, Clone, Copy)]
pub struct FeatureBatch<'a> {
    /// The features z `[B, C, H, W]`.
    pub features: &'a Tensor,
    /// The pooled products p_k = mean over positions of M^k ⊗ z, `[B, K, C]`.
    pub products: &'a Tensor,
    /// The masks M^k, each averaged over its positions, `[B, K, C]`.
    pub masks: &'a Tensor,
}

/// Statistics of features and masks that are collected batch by batch, in constant memory.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_analysis::{CorrelationSamples, FeatureBatch, FeatureStatistics};
///
/// // One image of 1 × 2 positions, one attribute, two channels.
/// let mut statistics = FeatureStatistics::new(&Tensor::new(&[[2f32, -1.]], &Device::Cpu)?)?;
/// statistics.add(&FeatureBatch {
///     features: &Tensor::new(&[[[[0f32, 2.]], [[1., 3.]]]], &Device::Cpu)?,
///     products: &Tensor::new(&[[[0.5f32, 2.]]], &Device::Cpu)?,
///     masks: &Tensor::new(&[[[0.5f32, 1.]]], &Device::Cpu)?,
/// })?;
/// let found = statistics.finish(CorrelationSamples::Positions)?;
/// assert_eq!(found.means, [1., 2.]);
/// assert_eq!(found.masks.row(0), [0.5, 1.]);
/// // |2·0.5| and |-1·2|.
/// assert_eq!(found.contributions.row(0), [1., 2.]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FeatureStatistics {
    /// Readout weights w `[K, C]`.
    readout: Tensor,
    /// Over every position of every image.
    positions: ChannelCorrelation,
    /// Over the mean features of every image.
    pooled: ChannelCorrelation,
    masks: MeanMasks,
    /// Mean of |w_k ⊗ p_k|, which is summed as masks are.
    contributions: MeanMasks,
    /// Of the pooled products of each attribute, over images.
    products: Vec<ChannelCorrelation>,
}

impl FeatureStatistics {
    /// For the network with these readout weights w `[K, C]`, which must be on the device of the
    /// batches.
    ///
    /// # Errors
    /// If they do not have two dimensions.
    pub fn new(readout: &Tensor) -> Result<Self> {
        let [attributes, channels] = *readout.dims() else {
            return Err(shape("readout weights", "[K, C]".into(), readout));
        };
        Ok(Self {
            readout: readout.detach(),
            positions: ChannelCorrelation::new(channels),
            pooled: ChannelCorrelation::new(channels),
            masks: MeanMasks::new(attributes, channels),
            contributions: MeanMasks::new(attributes, channels),
            products: vec![ChannelCorrelation::new(channels); attributes],
        })
    }

    /// Adds a batch. An error can leave a part of the batch added.
    ///
    /// # Errors
    /// If the shapes do not fit the readout weights or candle fails.
    pub fn add(&mut self, batch: &FeatureBatch) -> Result<()> {
        let [attributes, channels] = [self.products.len(), self.positions.means().len()];
        match *batch.products.dims() {
            [_, k, c] if [k, c] == [attributes, channels] => {}
            _ => {
                let expected = format!("[B, {attributes}, {channels}]");
                return Err(shape("pooled products", expected, batch.products));
            }
        }
        self.positions.add(batch.features)?;
        self.pooled.add(&batch.features.mean_keepdim((2, 3))?)?;
        self.masks.add(batch.masks)?;
        for (k, products) in self.products.iter_mut().enumerate() {
            products.add(&batch.products.narrow(1, k, 1)?.transpose(1, 2)?.unsqueeze(3)?)?;
        }
        self.contributions.add(&batch.products.broadcast_mul(&self.readout)?.abs()?)
    }

    /// Adds the images of other statistics, of the same network.
    ///
    /// # Errors
    /// If they are of another number of attributes or channels.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if other.readout.dims() != self.readout.dims() {
            return Err(shape("statistics", format!("{:?}", self.readout.dims()), &other.readout));
        }
        for (own, other) in self.correlations_mut().zip(other.correlations()) {
            own.merge(other)?;
        }
        self.masks.merge(&other.masks);
        self.contributions.merge(&other.contributions);
        Ok(())
    }

    /// All numbers that were collected, to be sent to another process; as many as
    /// [`values_count`](Self::values_count) says.
    pub fn to_values(&self) -> Vec<f64> {
        let means = [&self.masks, &self.contributions].into_iter().flat_map(MeanMasks::values);
        self.correlations().flat_map(ChannelCorrelation::values).chain(means).collect()
    }

    /// How many numbers are collected, whatever was added.
    pub fn values_count(&self) -> usize {
        let [attributes, channels] = [self.products.len(), self.positions.means().len()];
        (2 + attributes) * (1 + channels * (2 + channels)) + 2 * (1 + attributes * channels)
    }

    /// The statistics of the same network whose [`to_values`](Self::to_values) these are.
    ///
    /// # Errors
    /// If there are more or fewer of them.
    pub fn with_values(&self, values: &[f64]) -> Result<Self> {
        if values.len() != self.values_count() {
            return Err(Error::Shape {
                statistic: "statistics",
                expected: format!("{} values", self.values_count()),
                got: vec![values.len()],
            });
        }
        let mut statistics = self.clone();
        let mut values = values.iter().copied();
        statistics.correlations_mut().for_each(|of| of.set(&mut values));
        statistics.masks.set(&mut values);
        statistics.contributions.set(&mut values);
        Ok(statistics)
    }

    fn correlations(&self) -> impl Iterator<Item = &ChannelCorrelation> {
        [&self.positions, &self.pooled].into_iter().chain(&self.products)
    }

    fn correlations_mut(&mut self) -> impl Iterator<Item = &mut ChannelCorrelation> {
        [&mut self.positions, &mut self.pooled].into_iter().chain(&mut self.products)
    }

    /// The statistics so far. `samples` says which correlation is meant.
    ///
    /// # Errors
    /// If nothing was added or a value was not finite.
    pub fn finish(&self, samples: CorrelationSamples) -> Result<FeatureSummary> {
        let correlation = match samples {
            CorrelationSamples::Positions => self.positions.finish()?,
            CorrelationSamples::Pooled => self.pooled.finish()?,
        };
        let product_means: Vec<Vec<f64>> =
            self.products.iter().map(|products| products.means().to_vec()).collect();
        Ok(FeatureSummary {
            correlation,
            masks: self.masks.finish()?,
            contributions: self.contributions.finish()?,
            means: self.positions.means().to_vec(),
            standard_deviations: self.positions.standard_deviations(),
            covariance: self.positions.covariance(),
            product_means: Matrix::from_rows(&product_means),
            product_covariances: self.products.iter().map(ChannelCorrelation::covariance).collect(),
        })
    }
}

fn shape(statistic: &'static str, expected: String, got: &Tensor) -> Error {
    Error::Shape { statistic, expected, got: got.dims().to_vec() }
}

/// Statistics of a network's features and masks over images. Means, standard deviations and
/// covariances are those of the population: divided by the number of samples.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSummary {
    /// Correlation among channels `[C, C]` (Figure 6), over the samples that were asked for.
    pub correlation: Matrix,
    /// Mean masks `[K, C]` (Figure 5), over positions and images.
    pub masks: Matrix,
    /// Mean contributions |w_kc·p_kc| `[K, C]`, over images.
    pub contributions: Matrix,
    /// Means of the channels `[C]`, over positions and images.
    pub means: Vec<f64>,
    /// Standard deviations of the channels `[C]`, over positions and images.
    pub standard_deviations: Vec<f64>,
    /// Covariance of the channels `[C, C]`, over positions and images.
    pub covariance: Matrix,
    /// Means of the pooled products `[K, C]`, over images.
    pub product_means: Matrix,
    /// Covariance of the pooled products `[C, C]` of each of the K attributes, over images.
    pub product_covariances: Vec<Matrix>,
}

impl FeatureSummary {
    /// The importance `[K, C]` of each channel to each attribute.
    pub fn importance(&self, importance: Importance) -> &Matrix {
        match importance {
            Importance::Mask => &self.masks,
            Importance::Contribution => &self.contributions,
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn two_images_by_hand() -> Result<()> {
        // Two images of 1 × 2 positions, two channels, one attribute.
        let z = Tensor::new(&[[[[0f32, 2.]], [[1., 1.]]], [[[4., 6.]], [[3., 5.]]]], &Device::Cpu)?;
        let products = Tensor::new(&[[[1f32, 0.]], [[3., 2.]]], &Device::Cpu)?;
        let masks = Tensor::new(&[[[0.5f32, 0.]], [[1., 0.5]]], &Device::Cpu)?;
        let mut statistics = FeatureStatistics::new(&Tensor::new(&[[2f32, -1.]], &Device::Cpu)?)?;
        assert!(matches!(statistics.finish(CorrelationSamples::Pooled), Err(Error::Empty(_))));
        for i in 0..2 {
            statistics.add(&FeatureBatch {
                features: &z.narrow(0, i, 1)?,
                products: &products.narrow(0, i, 1)?,
                masks: &masks.narrow(0, i, 1)?,
            })?;
        }
        let found = statistics.finish(CorrelationSamples::Positions)?;
        // Channel 0: 0, 2, 4, 6 with deviations -3, -1, 1, 3; channel 1: 1, 1, 3, 5 with -1.5,
        // -1.5, 0.5, 2.5. Sums of their products 20, 14 and 11.
        assert_eq!(found.means, [3., 2.5]);
        assert_close(&found.covariance, &[&[5., 3.5], &[3.5, 2.75]]);
        assert!((found.standard_deviations[0] - 5f64.sqrt()).abs() < 1e-6);
        let rho = 14. / 220f64.sqrt();
        assert_close(&found.correlation, &[&[1., rho], &[rho, 1.]]);
        assert_close(&found.masks, &[&[0.75, 0.25]]);
        // |2·1|, |2·3| and |-1·0|, |-1·2|.
        assert_close(&found.contributions, &[&[4., 1.]]);
        assert_close(&found.product_means, &[&[2., 1.]]);
        assert_close(&found.product_covariances[0], &[&[1., 1.], &[1., 1.]]);
        assert_eq!(found.importance(Importance::Mask), &found.masks);
        assert_eq!(found.importance(Importance::Contribution), &found.contributions);
        // The means of the images, 1 and 5 against 1 and 4, lie on a line.
        let pooled = statistics.finish(CorrelationSamples::Pooled)?;
        assert_close(&pooled.correlation, &[&[1., 1.], &[1., 1.]]);
        assert_eq!(pooled.covariance, found.covariance);
        Ok(())
    }

    fn assert_close(found: &Matrix, expected: &[&[f64]]) {
        for (i, row) in expected.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                assert!((found.get(i, j) - value).abs() < 1e-6, "{i} {j}: {found:?}");
            }
        }
    }

    #[test]
    fn shapes_must_fit_the_readout() -> Result<()> {
        let zeros = |dims: &[usize]| Tensor::zeros(dims, candle_core::DType::F32, &Device::Cpu);
        assert!(FeatureStatistics::new(&zeros(&[3])?).is_err());
        let mut statistics = FeatureStatistics::new(&zeros(&[2, 3])?)?;
        let (features, fits, other) =
            (zeros(&[1, 3, 4, 4])?, zeros(&[1, 2, 3])?, zeros(&[1, 3, 2])?);
        let mut add = |products: &Tensor, masks: &Tensor| {
            statistics.add(&FeatureBatch { features: &features, products, masks })
        };
        assert!(add(&fits, &fits).is_ok());
        assert!(matches!(add(&other, &fits), Err(Error::Shape { .. })));
        assert!(matches!(add(&fits, &other), Err(Error::Shape { .. })));
        Ok(())
    }

    #[test]
    fn ids_are_read_back() {
        for kind in CorrelationSamples::ALL {
            assert_eq!(CorrelationSamples::from_id(kind.id()), Some(kind));
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn serde_reads_ids() {
        use serde::Deserialize;
        use serde::de::IntoDeserializer;
        use serde::de::value::{Error, StrDeserializer};

        for kind in CorrelationSamples::ALL {
            let id: StrDeserializer<Error> = kind.id().into_deserializer();
            assert_eq!(CorrelationSamples::deserialize(id), Ok(kind));
        }
    }
}
