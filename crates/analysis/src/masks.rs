//! Figure 5.

use candle_core::Tensor;

use crate::error::{Error, Result};
use crate::matrix::Matrix;

/// The mean of every mask, over positions and images: [K, C].
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
            _ => return Err(Error::Shape { statistic: "mean masks", expected: format!("[B, {k}, {c}]"), got: masks.dims().to_vec() }),
        };
        for image in masks.to_vec3::<f32>()? {
            for (k, row) in image.iter().enumerate() {
                self.sums.row_mut(k).iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
            }
        }
        self.images += images as f64;
        Ok(())
    }

    /// The means [K, C].
    ///
    /// # Errors
    /// If nothing was added or a value was not finite.
    pub fn finish(&self) -> Result<Matrix> {
        if self.images == 0. {
            return Err(Error::Empty("mean masks"));
        }
        let rows: Vec<Vec<f64>> = (0..self.sums.rows()).map(|k| self.sums.row(k).iter().map(|v| v / self.images).collect()).collect();
        match rows.iter().flatten().all(|v| v.is_finite()) {
            true => Ok(Matrix::from_rows(&rows)),
            false => Err(Error::NotFinite("mean masks")),
        }
    }
}
