//! Means of masks (Figure 5), and how much of a mask lies in a region.

use candle_core::Tensor;
use foresee_stats::{Matrix, mean};

use crate::error::{Error, Result};

/// The mean of every mask over positions and images, [K, C], for K attributes and C channels.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_analysis::MeanMasks;
///
/// // Two images, one attribute, two channels.
/// let mut means = MeanMasks::new(1, 2);
/// means.add(&Tensor::new(&[[[0.5f32, 0.]], [[1., 0.5]]], &Device::Cpu)?)?;
/// assert_eq!(means.finish()?.row(0), [0.75, 0.25]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MeanMasks {
    images: f64,
    sums: Matrix,
}

impl MeanMasks {
    /// For this many attributes and channels.
    pub fn new(attributes: usize, channels: usize) -> Self {
        Self { images: 0., sums: Matrix::zeros(attributes, channels) }
    }

    /// Adds the mean masks of some images, [B, K, C], each averaged over its positions.
    ///
    /// # Errors
    /// If the shape is another one.
    pub fn add(&mut self, masks: &Tensor) -> Result<()> {
        let (k, c) = (self.sums.rows(), self.sums.columns());
        let images = match *masks.dims() {
            [b, attributes, channels] if (attributes, channels) == (k, c) => b,
            _ => {
                return Err(Error::Shape {
                    statistic: "mean masks",
                    expected: format!("[B, {k}, {c}]"),
                    got: masks.dims().to_vec(),
                });
            }
        };
        for image in masks.to_vec3::<f32>()? {
            for (k, row) in image.iter().enumerate() {
                self.sums.row_mut(k).iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
            }
        }
        self.images += images as f64;
        Ok(())
    }

    /// Adds the images of another one, of as many attributes and channels.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.images += other.images;
        for k in 0..self.sums.rows() {
            let sums = self.sums.row_mut(k).iter_mut();
            sums.zip(other.sums.row(k)).for_each(|(sum, v)| *sum += v);
        }
    }

    /// All numbers that it is made of.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        let sums = (0..self.sums.rows()).flat_map(|k| self.sums.row(k).iter().copied());
        std::iter::once(self.images).chain(sums)
    }

    /// Sets what [`values`](Self::values) gives; of missing numbers, 0.
    pub(crate) fn set(&mut self, values: &mut impl Iterator<Item = f64>) {
        self.images = values.next().unwrap_or_default();
        let mut next = || values.next().unwrap_or_default();
        (0..self.sums.rows()).for_each(|k| self.sums.row_mut(k).fill_with(&mut next));
    }

    /// The means [K, C].
    ///
    /// # Errors
    /// If nothing was added or a value was not finite.
    pub fn finish(&self) -> Result<Matrix> {
        if self.images == 0. {
            return Err(Error::Empty("mean masks"));
        }
        let rows: Vec<Vec<f64>> = (0..self.sums.rows())
            .map(|k| self.sums.row(k).iter().map(|v| v / self.images).collect())
            .collect();
        match rows.iter().flatten().all(|v| v.is_finite()) {
            true => Ok(Matrix::from_rows(&rows)),
            false => Err(Error::NotFinite("mean masks")),
        }
    }
}

/// How much of a mask lies in a region: the share of its mass there, Σ m·r/Σ m, over the region's
/// share of the area, mean(r). It is 1 if the mask is spread evenly, and 0 if all of it lies
/// elsewhere. `region` r says for each position how much of it belongs to the region, 0 to 1.
/// `None` for an empty region or an empty mask.
///
/// ```
/// use foresee_analysis::concentration;
///
/// // Three quarters of the mass lie in a quarter of the area.
/// assert_eq!(concentration(&[3., 1., 0., 0.], &[1., 0., 0., 0.]), Some(3.));
/// assert_eq!(concentration(&[1.; 4], &[1., 0., 0., 0.]), Some(1.));
/// assert_eq!(concentration(&[0.; 4], &[1., 0., 0., 0.]), None);
/// ```
///
/// # Panics
/// If the mask and the region are of different sizes.
pub fn concentration(mask: &[f64], region: &[f64]) -> Option<f64> {
    assert_eq!(mask.len(), region.len(), "a mask and a region of different sizes");
    let mass: f64 = mask.iter().sum();
    let area = mean(region);
    let inside: f64 = mask.iter().zip(region).map(|(m, r)| m * r).sum();
    (mass > 0. && area > 0.).then(|| inside / mass / area)
}

#[cfg(test)]
mod tests {
    use super::concentration;

    #[test]
    fn concentration_by_hand() {
        assert_eq!(concentration(&[1., 1., 1., 1.], &[1., 0., 0., 0.]), Some(1.));
        assert_eq!(concentration(&[3., 1., 0., 0.], &[1., 0., 0., 0.]), Some(3.));
        assert_eq!(concentration(&[0., 1., 1., 0.], &[0.5, 0.5, 0., 0.]), Some(1.));
        assert_eq!(concentration(&[0.; 2], &[1., 0.]), None);
        assert_eq!(concentration(&[1.; 2], &[0., 0.]), None);
    }
}
