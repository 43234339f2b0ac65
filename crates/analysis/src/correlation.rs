//! Pearson's correlation among channels, streamed over batches (Figure 6).

use candle_core::{D, Tensor};
use foresee_stats::{Matrix, correlation_of_covariance};

use crate::error::{Error, Result};

/// Samples whose products are summed in f32 before they join the f64 sums.
const CHUNK: usize = 8192;

/// Pearson's correlation among channels, where every position of every image is a sample. One pass:
/// each batch is centred on its own mean, and its co-moments are merged into the total as in Chan,
/// Golub & LeVeque (1983).
#[derive(Debug, Clone)]
pub struct ChannelCorrelation {
    count: f64,
    mean: Vec<f64>,
    /// Σ (x - mean)(x - mean)ᵀ over all samples so far.
    co_moments: Matrix,
}

impl ChannelCorrelation {
    /// For features of this many channels.
    pub fn new(channels: usize) -> Self {
        Self { count: 0., mean: vec![0.; channels], co_moments: Matrix::zeros(channels, channels) }
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
        let samples = features.detach().transpose(0, 1)?.flatten_from(1)?.contiguous()?;
        let n = samples.dim(1)?;
        for start in (0..n).step_by(CHUNK) {
            self.add_chunk(&samples.narrow(1, start, CHUNK.min(n - start))?)?;
        }
        Ok(())
    }

    /// Adds samples [C, n].
    fn add_chunk(&mut self, samples: &Tensor) -> Result<()> {
        let n = samples.dim(1)? as f64;
        let near = samples.mean_keepdim(D::Minus1)?;
        let centred = samples.broadcast_sub(&near)?.contiguous()?;
        // The mean in f32 is a little off; the mean of the centred samples says by how much.
        let rest = centred.mean(D::Minus1)?.to_vec1::<f32>()?;
        let products = centred.matmul(&centred.t()?.contiguous()?)?.to_vec2::<f32>()?;
        let mean: Vec<f64> = near
            .squeeze(1)?
            .to_vec1::<f32>()?
            .iter()
            .zip(&rest)
            .map(|(&m, &r)| f64::from(m) + f64::from(r))
            .collect();
        let delta: Vec<f64> = mean.iter().zip(&self.mean).map(|(a, b)| a - b).collect();
        let total = self.count + n;
        let weight = self.count * n / total;
        for (i, row) in products.iter().enumerate() {
            for (j, (entry, &product)) in self.co_moments.row_mut(i).iter_mut().zip(row).enumerate()
            {
                *entry += f64::from(product) - n * f64::from(rest[i]) * f64::from(rest[j])
                    + weight * delta[i] * delta[j];
            }
        }
        self.mean.iter_mut().zip(&delta).for_each(|(m, d)| *m += d * n / total);
        self.count = total;
        Ok(())
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
