//! Pearson's correlation among channels, streamed over batches (Figure 6).

use candle_core::{D, DType, Device, Tensor};
use foresee_stats::{Matrix, correlation_of_covariance};

use crate::error::{Error, Result};

/// Samples that are converted to f64 at a time, which bounds the memory.
const CHUNK: usize = 8192;

/// Pearson's correlation among channels, where every position of every image is a sample. One pass
/// in f64, whatever the type of the features: each part of a batch is centred on its own mean, and
/// its co-moments are merged into the total as in Chan, Golub & LeVeque (1983). Before that, a
/// channel's first sample is taken from all its samples, so a large mean costs no digits, and a
/// channel that never changes has a variance of exactly 0.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_analysis::ChannelCorrelation;
///
/// // One image of 1 × 3 positions: channel 0 is 1, 2, 3, and channel 1 is 2, 1, 3.
/// let features = Tensor::new(&[[[[1f32, 2., 3.]], [[2., 1., 3.]]]], &Device::Cpu)?;
/// let mut correlation = ChannelCorrelation::new(2);
/// correlation.add(&features)?;
/// assert_eq!((correlation.samples(), correlation.means()), (3, &[2., 2.][..]));
/// // Deviations -1, 0, 1 and 0, -1, 1: 1/√(2·2).
/// assert!((correlation.finish()?.get(0, 1) - 0.5).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChannelCorrelation {
    count: f64,
    /// The first sample of each channel.
    origin: Vec<f64>,
    /// The mean of each channel less its origin.
    offset: Vec<f64>,
    /// The mean of each channel.
    mean: Vec<f64>,
    /// Σ (x - mean)(x - mean)ᵀ over all samples so far.
    co_moments: Matrix,
}

impl ChannelCorrelation {
    /// For features of this many channels.
    pub fn new(channels: usize) -> Self {
        let zeros = vec![0.; channels];
        Self {
            count: 0.,
            origin: zeros.clone(),
            offset: zeros.clone(),
            mean: zeros,
            co_moments: Matrix::zeros(channels, channels),
        }
    }

    /// Adds features [B, C, H, W].
    ///
    /// # Errors
    /// If the number of channels is another one.
    pub fn add(&mut self, features: &Tensor) -> Result<()> {
        let channels = self.mean.len();
        if features.rank() != 4 || features.dims()[1] != channels {
            let expected = format!("[B, {channels}, H, W]");
            return Err(Error::Shape {
                statistic: "channel correlation",
                expected,
                got: features.dims().to_vec(),
            });
        }
        let mut samples = features.detach().transpose(0, 1)?.flatten_from(1)?.contiguous()?;
        if samples.device().is_metal() {
            // It has no f64.
            samples = samples.to_device(&Device::Cpu)?;
        }
        let n = samples.dim(1)?;
        for start in (0..n).step_by(CHUNK) {
            self.add_chunk(&samples.narrow(1, start, CHUNK.min(n - start))?)?;
        }
        Ok(())
    }

    /// Adds samples [C, n].
    fn add_chunk(&mut self, samples: &Tensor) -> Result<()> {
        let n = samples.dim(1)? as f64;
        let samples = samples.to_dtype(DType::F64)?;
        if self.count == 0. {
            self.origin = samples.narrow(1, 0, 1)?.squeeze(1)?.to_vec1::<f64>()?;
        }
        let origin = Tensor::from_slice(&self.origin, (self.origin.len(), 1), samples.device())?;
        let moved = samples.broadcast_sub(&origin)?;
        let mean = moved.mean_keepdim(D::Minus1)?;
        let centred = moved.broadcast_sub(&mean)?.contiguous()?;
        let products = centred.matmul(&centred.t()?.contiguous()?)?.to_vec2::<f64>()?;
        let mean = mean.squeeze(1)?.to_vec1::<f64>()?;
        let delta: Vec<f64> = mean.iter().zip(&self.offset).map(|(a, b)| a - b).collect();
        self.merge_moments(n, &delta, |i| &products[i]);
        Ok(())
    }

    /// Adds the samples of another one, as Chan, Golub & LeVeque (1983) merge two parts.
    ///
    /// # Errors
    /// If the number of channels is another one.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if other.mean.len() != self.mean.len() {
            return Err(Error::Shape {
                statistic: "channel correlation",
                expected: format!("statistics of {} channels", self.mean.len()),
                got: vec![other.mean.len()],
            });
        }
        if self.count == 0. {
            self.clone_from(other);
        } else if other.count > 0. {
            let origins = other.origin.iter().zip(&self.origin).map(|(a, b)| a - b);
            let offsets = other.offset.iter().zip(&self.offset).map(|(a, b)| a - b);
            let delta: Vec<f64> = origins.zip(offsets).map(|(a, b)| a + b).collect();
            self.merge_moments(other.count, &delta, |i| other.co_moments.row(i));
        }
        Ok(())
    }

    /// Merges `n` samples whose means are `delta` above those so far, with these co-moments.
    fn merge_moments<'a>(&mut self, n: f64, delta: &[f64], row: impl Fn(usize) -> &'a [f64]) {
        let total = self.count + n;
        let weight = self.count * n / total;
        for i in 0..delta.len() {
            let entries = self.co_moments.row_mut(i).iter_mut();
            for ((entry, product), other) in entries.zip(row(i)).zip(delta) {
                *entry += product + weight * delta[i] * other;
            }
        }
        self.offset.iter_mut().zip(delta).for_each(|(offset, d)| *offset += d * n / total);
        self.mean = self.origin.iter().zip(&self.offset).map(|(a, b)| a + b).collect();
        self.count = total;
    }

    /// All numbers that it is made of.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        let co_moments = (0..self.mean.len()).flat_map(|i| self.co_moments.row(i));
        let of_channels = self.origin.iter().chain(&self.offset);
        std::iter::once(self.count).chain(of_channels.chain(co_moments).copied())
    }

    /// Sets what [`values`](Self::values) gives; of missing numbers, 0.
    pub(crate) fn set(&mut self, values: &mut impl Iterator<Item = f64>) {
        self.count = values.next().unwrap_or_default();
        let mut next = || values.next().unwrap_or_default();
        self.origin.fill_with(&mut next);
        self.offset.fill_with(&mut next);
        for i in 0..self.mean.len() {
            self.co_moments.row_mut(i).fill_with(&mut next);
        }
        self.mean = self.origin.iter().zip(&self.offset).map(|(a, b)| a + b).collect();
    }

    /// Number of samples so far.
    pub fn samples(&self) -> u64 {
        self.count as u64
    }

    /// Mean of each channel so far.
    pub fn means(&self) -> &[f64] {
        &self.mean
    }

    /// Standard deviation of each channel so far (of the population: the variance is divided by the
    /// number of samples).
    pub fn standard_deviations(&self) -> Vec<f64> {
        (0..self.mean.len())
            .map(|c| (self.co_moments.get(c, c).max(0.) / self.count.max(1.)).sqrt())
            .collect()
    }

    /// The covariance matrix [C, C] so far (of the population: divided by the number of samples).
    pub fn covariance(&self) -> Matrix {
        let mut out = self.co_moments.clone();
        for i in 0..self.mean.len() {
            out.row_mut(i).iter_mut().for_each(|v| *v /= self.count.max(1.));
        }
        out
    }

    /// The correlation matrix [C, C] so far, with values in [-1, 1]. A channel that never changes
    /// correlates with nothing: 0, and 1 with itself.
    ///
    /// # Errors
    /// If nothing was added or a value was not finite.
    pub fn finish(&self) -> Result<Matrix> {
        if self.count == 0. {
            return Err(Error::Empty("channel correlation"));
        }
        correlation_of_covariance(&self.co_moments).ok_or(Error::NotFinite("channel correlation"))
    }
}
