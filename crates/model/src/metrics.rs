//! Accuracy, and measures that are more telling when most attributes are rare.

use candle_core::Tensor;

use crate::error::{Error, Result};

/// Logits and labels of a set of images.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_model::Predictions;
///
/// // One attribute, of four images.
/// let logits = Tensor::new(&[[2f32], [-1.], [0.5], [-2.]], &Device::Cpu)?;
/// let labels = Tensor::new(&[[1f32], [1.], [0.], [0.]], &Device::Cpu)?;
/// let mut predictions = Predictions::default();
/// predictions.add(&logits, &labels)?;
/// let metrics = predictions.metrics()?;
/// // The first and the last are right. Of the four pairs of a positive and a negative image, the
/// // positive one has the higher logit in three.
/// assert_eq!((metrics.accuracy(), metrics.auc()), (0.5, 0.75));
/// # Ok::<(), foresee_model::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Predictions {
    pub(crate) attributes: usize,
    pub(crate) logits: Vec<f32>,
    pub(crate) labels: Vec<bool>,
}

/// How well one attribute is predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttributeMetrics {
    /// Share of images that are classified correctly. A logit above 0 means that the attribute is
    /// present.
    pub accuracy: f64,
    /// Mean of the accuracies on the images with and on those without the attribute. NaN if one of
    /// these sets is empty.
    pub balanced_accuracy: f64,
    /// Area under the ROC curve: how often an image with the attribute has a higher logit than one
    /// without. NaN if one of these sets is empty.
    pub auc: f64,
    /// Share of the images that have the attribute.
    pub frequency: f64,
}

/// How well all attributes are predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Number of images.
    pub images: usize,
    /// The metrics of each attribute.
    pub each: Vec<AttributeMetrics>,
}

impl Metrics {
    /// Mean accuracy over the attributes.
    pub fn accuracy(&self) -> f64 {
        mean(self.each.iter().map(|m| m.accuracy))
    }

    /// Mean balanced accuracy over the attributes whose balanced accuracy is not NaN.
    pub fn balanced_accuracy(&self) -> f64 {
        mean(self.each.iter().map(|m| m.balanced_accuracy))
    }

    /// Mean area under the ROC curve over the attributes for which it is not NaN.
    pub fn auc(&self) -> f64 {
        mean(self.each.iter().map(|m| m.auc))
    }
}

/// The mean of the values that are not NaN.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.filter(|v| !v.is_nan()).fold((0., 0.), |(sum, n), v| (sum + v, n + 1.));
    sum / n
}

impl Predictions {
    /// Adds a batch of logits and labels [B, K]. An attribute is present where its label is above
    /// 1/2.
    ///
    /// # Errors
    /// If the shapes differ, earlier batches were of another K, or a logit is NaN
    /// ([`Error::NanLogit`]). Nothing is added then.
    pub fn add(&mut self, logits: &Tensor, labels: &Tensor) -> Result<()> {
        let attributes = logits.dim(1)?;
        let others = !self.logits.is_empty() && attributes != self.attributes;
        if logits.dims() != labels.dims() || others {
            return Err(candle_core::Error::Msg(format!(
                "logits are {:?}, but labels {:?}, after batches of {} attributes",
                logits.dims(),
                labels.dims(),
                if self.logits.is_empty() { attributes } else { self.attributes }
            ))
            .into());
        }
        let logits = logits.flatten_all()?.to_vec1::<f32>()?;
        let labels = labels.flatten_all()?.to_vec1::<f32>()?;
        if let Some(at) = logits.iter().position(|logit| logit.is_nan()) {
            return Err(Error::NanLogit { image: at / attributes, class: at % attributes });
        }
        self.attributes = attributes;
        self.logits.extend(logits);
        self.labels.extend(labels.iter().map(|&y| y > 0.5));
        Ok(())
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.logits.len() / self.attributes.max(1)
    }

    /// The probabilities of the K attributes, image by image.
    pub fn probabilities(&self) -> impl Iterator<Item = Vec<f64>> {
        self.logits
            .chunks_exact(self.attributes.max(1))
            .map(|row| row.iter().map(|&x| 1. / (1. + f64::from(-x).exp())).collect())
    }

    /// The metrics of each attribute.
    ///
    /// # Errors
    /// [`Error::NoImages`] if no image was added.
    pub fn metrics(&self) -> Result<Metrics> {
        if self.images() == 0 {
            return Err(Error::NoImages);
        }
        let of_attribute = |k: usize| {
            let pair = |i: usize| (self.logits[i], self.labels[i]);
            let indices = (k..self.logits.len()).step_by(self.attributes);
            attribute_metrics(&indices.map(pair).collect::<Vec<_>>())
        };
        let each = (0..self.attributes).map(of_attribute).collect();
        Ok(Metrics { images: self.images(), each })
    }
}

/// The share of pairs of logit and label that are classified correctly.
fn accuracy(pairs: impl Iterator<Item = (f32, bool)>) -> f64 {
    mean(pairs.map(|(logit, label)| f64::from(u8::from((logit > 0.) == label))))
}

fn attribute_metrics(pairs: &[(f32, bool)]) -> AttributeMetrics {
    let of_class = |label: bool| accuracy(pairs.iter().copied().filter(|p| p.1 == label));
    AttributeMetrics {
        accuracy: accuracy(pairs.iter().copied()),
        balanced_accuracy: (of_class(true) + of_class(false)) / 2.,
        auc: auc(pairs),
        frequency: pairs.iter().filter(|p| p.1).count() as f64 / pairs.len() as f64,
    }
}

/// The area under the ROC curve as the Mann-Whitney U statistic divided by the number of pairs of a
/// positive and a negative image. Ties count half.
fn auc(pairs: &[(f32, bool)]) -> f64 {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut positives = 0.;
    let mut negatives = 0.;
    let mut u = 0.;
    for tie in sorted.chunk_by(|a, b| a.0 == b.0) {
        let tied_positives = tie.iter().filter(|p| p.1).count() as f64;
        let tied_negatives = tie.len() as f64 - tied_positives;
        u += tied_positives * (negatives + tied_negatives / 2.);
        positives += tied_positives;
        negatives += tied_negatives;
    }
    u / (positives * negatives)
}

/// Accuracy of the majority-class baseline, averaged over the attributes: it predicts for every
/// test image what most training images have. `train` and `test` are the attributes' frequencies in
/// the two sets.
///
/// ```
/// use foresee_model::majority_accuracy;
///
/// // It predicts the first attribute, which is most often there, for all, and the second for none.
/// let accuracy = majority_accuracy(&[0.9, 0.2], &[0.4, 0.3]);
/// assert!((accuracy - (0.4 + 0.7) / 2.).abs() < 1e-12);
/// ```
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
        let nan = Tensor::new(&[[2f32, 1.], [-1., f32::NAN]], &Device::Cpu).unwrap();
        let refused = predictions.add(&nan, &nan.zeros_like().unwrap());
        assert!(matches!(refused, Err(Error::NanLogit { image: 1, class: 1 })));
        assert_eq!(predictions.images(), 0);
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
    fn the_majority_class_is_that_of_the_training_images() {
        assert!((majority_accuracy(&[0.9, 0.2], &[0.4, 0.3]) - 0.55).abs() < 1e-12);
    }
}
