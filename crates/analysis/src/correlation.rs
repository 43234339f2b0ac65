//! Pearson correlation, streamed over channels (Figure 6) or between the rows of a table (Table 4).

use candle_core::{D, Tensor};

use crate::error::{Error, Result};
use crate::matrix::Matrix;

/// Samples whose products are summed in f32 before they join the f64 sums.
const CHUNK: usize = 8192;

/// Pearson correlation among channels, every position of every image being a sample. One pass: each
/// batch is centred on its own mean, and its co-moments are merged into the total by Chan, Golub &
/// LeVeque (1983).
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

    fn add_chunk(&mut self, samples: &Tensor) -> Result<()> {
        let n = samples.dim(1)? as f64;
        let near = samples.mean_keepdim(D::Minus1)?;
        let centred = samples.broadcast_sub(&near)?.contiguous()?;
        // The mean in f32 is a little off; what is left of the sum tells by how much.
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

    /// Standard deviation of each channel so far.
    pub fn deviations(&self) -> Vec<f64> {
        (0..self.mean.len())
            .map(|c| (self.co_moments.get(c, c).max(0.) / self.count.max(1.)).sqrt())
            .collect()
    }

    /// The covariance matrix [C, C] so far (of the population: divided by the number of samples).
    pub fn covariance(&self) -> Matrix {
        let n = self.mean.len();
        let mut out = self.co_moments.clone();
        (0..n).for_each(|i| out.row_mut(i).iter_mut().for_each(|v| *v /= self.count.max(1.)));
        out
    }

    /// The correlation matrix [C, C]. A channel that never changes correlates with nothing: 0, and
    /// 1 with itself.
    ///
    /// # Errors
    /// If nothing was added or a value was not finite.
    pub fn finish(&self) -> Result<Matrix> {
        if self.count == 0. {
            return Err(Error::Empty("channel correlation"));
        }
        normalised(&self.co_moments).ok_or(Error::NotFinite("channel correlation"))
    }
}

/// Co-moments to correlations; `None` if a value is not finite.
fn normalised(co_moments: &Matrix) -> Option<Matrix> {
    let n = co_moments.rows();
    let scale: Vec<f64> = (0..n).map(|i| co_moments.get(i, i).max(0.).sqrt()).collect();
    let mut out = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..n {
            let (value, by) = (co_moments.get(i, j), scale[i] * scale[j]);
            if !value.is_finite() {
                return None;
            }
            out.row_mut(i)[j] = match () {
                () if i == j => 1.,
                () if by > 1e-12 => (value / by).clamp(-1., 1.),
                () => 0.,
            };
        }
    }
    Some(out)
}

/// Pearson correlation between the rows of a table: Table 4 takes an attribute's mean masks (Figure
/// 5) as one vector.
///
/// # Errors
/// If the table is empty or holds a value that is not finite.
pub fn row_correlation(table: &Matrix) -> Result<Matrix> {
    if table.rows() == 0 {
        return Err(Error::Empty("row correlation"));
    }
    let centred: Vec<Vec<f64>> = (0..table.rows())
        .map(|r| {
            let mean = table.row(r).iter().sum::<f64>() / table.columns() as f64;
            table.row(r).iter().map(|v| v - mean).collect()
        })
        .collect();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let products: Vec<Vec<f64>> =
        centred.iter().map(|a| centred.iter().map(|b| product(a, b)).collect()).collect();
    normalised(&Matrix::from_rows(&products)).ok_or(Error::NotFinite("row correlation"))
}
