//! Accuracy, and what says more when most attributes are rare.

use candle_core::Tensor;

use crate::error::{Error, Result};

/// Logits and labels of some images.
#[derive(Debug, Clone, Default)]
pub struct Predictions {
    attributes: usize,
    logits: Vec<f32>,
    labels: Vec<bool>,
}

/// How one attribute is predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttributeMetrics {
    /// Share of images classified rightly, a logit above 0 meaning present.
    pub accuracy: f64,
    /// Mean of the shares among the images with and without the attribute; NaN if there are none of
    /// either.
    pub balanced_accuracy: f64,
    /// Area under the ROC curve: how often an image with the attribute gets a higher logit than one
    /// without. NaN if there are none of either.
    pub auc: f64,
    /// Share of the images that have the attribute.
    pub frequency: f64,
}

/// How all attributes are predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Number of images.
    pub images: usize,
    /// By attribute.
    pub each: Vec<AttributeMetrics>,
}

impl Metrics {
    /// Mean accuracy over the attributes.
    pub fn accuracy(&self) -> f64 {
        mean(self.each.iter().map(|m| m.accuracy))
    }

    /// Mean balanced accuracy over the attributes that have it.
    pub fn balanced_accuracy(&self) -> f64 {
        mean(self.each.iter().map(|m| m.balanced_accuracy))
    }

    /// Mean area under the ROC curve over the attributes that have it.
    pub fn auc(&self) -> f64 {
        mean(self.each.iter().map(|m| m.auc))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.filter(|v| !v.is_nan()).fold((0., 0.), |(sum, n), v| (sum + v, n + 1.));
    sum / n
}

impl Predictions {
    /// Adds a batch: logits and labels [B, K], present where the label is above 1/2.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn add(&mut self, logits: &Tensor, labels: &Tensor) -> Result<()> {
        self.attributes = logits.dim(1)?;
        if logits.dims() != labels.dims() {
            return Err(candle_core::Error::Msg(format!(
                "logits are {:?}, but labels {:?}",
                logits.dims(),
                labels.dims()
            ))
            .into());
        }
        self.logits.extend(logits.flatten_all()?.to_vec1::<f32>()?);
        self.labels.extend(labels.flatten_all()?.to_vec1::<f32>()?.iter().map(|&y| y > 0.5));
        Ok(())
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.logits.len() / self.attributes.max(1)
    }

    /// Probabilities, image by image.
    pub fn probabilities(&self) -> impl Iterator<Item = Vec<f64>> {
        self.logits
            .chunks_exact(self.attributes.max(1))
            .map(|row| row.iter().map(|&x| 1. / (1. + f64::from(-x).exp())).collect())
    }

    /// Metrics by attribute.
    ///
    /// # Errors
    /// [`Error::NoImages`] if there are none.
    pub fn metrics(&self) -> Result<Metrics> {
        if self.images() == 0 {
            return Err(Error::NoImages);
        }
        let column = |k: usize| {
            let every = |i: usize| {
                (self.logits[i * self.attributes + k], self.labels[i * self.attributes + k])
            };
            attribute_metrics(&(0..self.images()).map(every).collect::<Vec<_>>())
        };
        Ok(Metrics { images: self.images(), each: (0..self.attributes).map(column).collect() })
    }
}

fn right(pairs: impl Iterator<Item = (f32, bool)>) -> f64 {
    mean(pairs.map(|(x, y)| f64::from(u8::from((x > 0.) == y))))
}

fn attribute_metrics(pairs: &[(f32, bool)]) -> AttributeMetrics {
    let of = |present: bool| right(pairs.iter().copied().filter(|p| p.1 == present));
    AttributeMetrics {
        accuracy: right(pairs.iter().copied()),
        balanced_accuracy: (of(true) + of(false)) / 2.,
        auc: auc(pairs),
        frequency: pairs.iter().filter(|p| p.1).count() as f64 / pairs.len() as f64,
    }
}

/// The Mann-Whitney form, ties counting half.
fn auc(pairs: &[(f32, bool)]) -> f64 {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut won, mut present) = (0., 0., 0.);
    for tie in sorted.chunk_by(|a, b| a.0 == b.0) {
        let here = tie.iter().filter(|p| p.1).count() as f64;
        let absent = tie.len() as f64 - here;
        won += here * (below + absent / 2.);
        below += absent;
        present += here;
    }
    won / (present * below)
}

/// Mean accuracy of always answering what most training images have: `train` and `test` are the
/// frequencies of the attributes there.
pub fn majority_accuracy(train: &[f64], test: &[f64]) -> f64 {
    mean(train.iter().zip(test).map(|(&a, &b)| if a > 0.5 { b } else { 1. - b }))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn metrics_by_hand() {
        let logits =
            Tensor::new(&[[2f32, 1.], [-1., 1.], [0.5, 1.], [-2., 1.]], &Device::Cpu).unwrap();
        let labels =
            Tensor::new(&[[1f32, 1.], [1., 1.], [0., 1.], [0., 1.]], &Device::Cpu).unwrap();
        let mut predictions = Predictions::default();
        assert!(matches!(predictions.metrics(), Err(Error::NoImages)));
        predictions.add(&logits, &labels).unwrap();
        let metrics = predictions.metrics().unwrap();
        assert_eq!(
            metrics.each[0],
            AttributeMetrics { accuracy: 0.5, balanced_accuracy: 0.5, auc: 0.75, frequency: 0.5 }
        );
        assert_eq!(metrics.each[1].accuracy, 1.);
        assert!(metrics.each[1].auc.is_nan() && metrics.each[1].balanced_accuracy.is_nan());
        assert_eq!((metrics.accuracy(), metrics.auc()), (0.75, 0.75));
    }

    #[test]
    fn ties_count_half() {
        assert_eq!(auc(&[(1., true), (1., false)]), 0.5);
        assert_eq!(auc(&[(1., true), (0., false), (1., false)]), 0.75);
    }

    #[test]
    fn the_majority_is_learned_from_training_images() {
        assert!((majority_accuracy(&[0.9, 0.2], &[0.4, 0.3]) - 0.55).abs() < 1e-12);
    }
}
