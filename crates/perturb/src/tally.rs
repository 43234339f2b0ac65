//! Counts of correct predictions, and the comparison of two settings on the same images.

use candle_core::{DType, Tensor};
use foresee_model::class_ranks;
use foresee_stats::{mean, standard_deviation};

use crate::error::{Error, Result};

/// How many predictions are correct under one setting. Either there are K attributes, of which one
/// is predicted to be present if its logit is above 0; or each image has one of K classes, and the
/// one with the largest logit is predicted.
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Tally {
    /// Correctly classified images of each attribute, `[K]`; of images of one class each, the
    /// correctly classified ones, `[1]`.
    pub correct: Vec<u64>,
    /// The accuracy on each image, in the order in which the images came: the share of its
    /// attributes that are correct; 1 or 0 if it has one class.
    pub by_image: Vec<f32>,
    /// Of images of one class each, the rank of the class among the logits
    /// ([`class_ranks`](foresee_model::class_ranks)), from 0; else empty.
    pub ranks: Vec<u32>,
}

/// NaN is not above 0, so that it would count as absent.
fn check_no_nan(logits: &Tensor) -> Result<()> {
    let rows = logits.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    for (image, row) in rows.iter().enumerate() {
        if let Some(class) = row.iter().position(|logit| logit.is_nan()) {
            return Err(foresee_model::Error::NanLogit { image, class }.into());
        }
    }
    Ok(())
}

impl Tally {
    /// Adds logits [B, K], with labels [B, K] of attributes or with classes `[B]`, whole numbers
    /// from 0 to K - 1. Of equal logits the class with the lower number is predicted.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_perturb::Tally;
    ///
    /// let logits = Tensor::new(&[[2f32, -1.], [-1., -3.]], &Device::Cpu)?;
    /// let labels = Tensor::new(&[[1f32, 1.], [0., 0.]], &Device::Cpu)?;
    /// let mut tally = Tally::default();
    /// tally.add(&logits, &labels)?;
    /// // The second attribute of the first image is missed.
    /// assert_eq!(tally.by_image, [0.5, 1.]);
    /// assert_eq!(tally.by_attribute(), [1., 0.5]);
    /// assert_eq!(tally.accuracy(), 0.75);
    /// # Ok::<(), foresee_perturb::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes do not fit, a logit is NaN, the labels are of another kind or number than
    /// those that were added before, or there is no such class.
    pub fn add(&mut self, logits: &Tensor, labels: &Tensor) -> Result<()> {
        if labels.rank() == 1 {
            return self.add_classes(logits, labels);
        }
        if !self.ranks.is_empty() {
            return Err(Error::Labels("labels came after classes"));
        }
        check_no_nan(logits)?;
        let correct = logits.gt(0f64)?.eq(&labels.gt(0.5f64)?)?.to_vec2::<u8>()?;
        for row in correct {
            if self.correct.is_empty() {
                self.correct = vec![0; row.len()];
            }
            if self.correct.len() != row.len() {
                return Err(Error::Labels("another number of attributes came than before"));
            }
            self.correct.iter_mut().zip(&row).for_each(|(sum, &c)| *sum += u64::from(c));
            self.by_image.push(row.iter().map(|&c| f32::from(c)).sum::<f32>() / row.len() as f32);
        }
        Ok(())
    }

    /// Puts the images of another tally behind these, which may be none.
    ///
    /// ```
    /// use foresee_perturb::Tally;
    ///
    /// let mut tally = Tally { correct: vec![1, 0], by_image: vec![0.5], ranks: vec![] };
    /// tally.append(Tally { correct: vec![1, 1], by_image: vec![1.], ranks: vec![] })?;
    /// assert_eq!(tally.by_attribute(), [1., 0.5]);
    /// assert_eq!(tally.by_image, [0.5, 1.]);
    /// # Ok::<(), foresee_perturb::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Labels`] if the two counted different things: another number of attributes, or
    /// classes.
    pub fn append(&mut self, other: Self) -> Result<()> {
        if other.by_image.is_empty() {
            return Ok(());
        }
        if self.by_image.is_empty() {
            *self = other;
            return Ok(());
        }
        if self.correct.len() != other.correct.len() {
            return Err(Error::Labels("the other tally has another number of attributes"));
        }
        if self.ranks.is_empty() != other.ranks.is_empty() {
            return Err(Error::Labels("one tally counted classes, the other labels"));
        }
        self.correct.iter_mut().zip(&other.correct).for_each(|(sum, more)| *sum += more);
        self.by_image.extend(other.by_image);
        self.ranks.extend(other.ranks);
        Ok(())
    }

    fn add_classes(&mut self, logits: &Tensor, classes: &Tensor) -> Result<()> {
        if self.ranks.len() != self.by_image.len() {
            return Err(Error::Labels("classes came after labels"));
        }
        let ranks = class_ranks(logits, classes)?;
        let right = ranks.iter().filter(|&&rank| rank == 0).count() as u64;
        self.correct = vec![self.correct.first().copied().unwrap_or_default() + right];
        self.by_image.extend(ranks.iter().map(|&rank| f32::from(u8::from(rank == 0))));
        self.ranks.extend(ranks.into_iter().map(|rank| rank as u32));
        Ok(())
    }

    /// The tally of the same images, each of one class, where a prediction is correct if the class
    /// is among the k largest logits. k = 1 is what is counted first.
    ///
    /// # Errors
    /// [`Error::Labels`] if attributes were counted.
    pub fn top_k(&self, k: usize) -> Result<Self> {
        if self.ranks.is_empty() && !self.by_image.is_empty() {
            return Err(Error::Labels("top-k accuracy needs classes"));
        }
        let is_right = |rank: &u32| (*rank as usize) < k;
        Ok(Self {
            correct: vec![self.ranks.iter().filter(|rank| is_right(rank)).count() as u64],
            by_image: self.ranks.iter().map(|rank| f32::from(u8::from(is_right(rank)))).collect(),
            ranks: self.ranks.clone(),
        })
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.by_image.len()
    }

    /// Correct attributes of each image, in the order in which the images came.
    pub fn correct_by_image(&self) -> Vec<i64> {
        let attributes = self.correct.len() as f32;
        self.by_image.iter().map(|share| (share * attributes).round() as i64).collect()
    }

    /// Accuracy of each attribute, `[K]`.
    pub fn by_attribute(&self) -> Vec<f64> {
        self.correct.iter().map(|&c| c as f64 / self.images() as f64).collect()
    }

    /// Mean accuracy over images and attributes.
    pub fn accuracy(&self) -> f64 {
        self.correct.iter().sum::<u64>() as f64 / (self.images() * self.correct.len()) as f64
    }

    /// Standard error of the mean accuracy over images; NaN of one image.
    pub fn standard_error(&self) -> f64 {
        let by_image: Vec<f64> = self.by_image.iter().map(|&v| f64::from(v)).collect();
        standard_error(&by_image)
    }

    /// What this setting gains over a baseline on the same images, which must have come in the same
    /// order.
    ///
    /// ```
    /// use foresee_perturb::Tally;
    ///
    /// // Two images with one attribute.
    /// let both = Tally { correct: vec![2], by_image: vec![1., 1.], ranks: vec![] };
    /// let one = Tally { correct: vec![1], by_image: vec![0., 1.], ranks: vec![] };
    /// let gain = both.paired_gain(&one);
    /// // The gains are 1 and 0: their standard deviation is √(1/2), and that over √2 is 1/2.
    /// assert_eq!(gain.mean, 0.5);
    /// assert!((gain.standard_error - 0.5).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// If the two are of different numbers of images.
    pub fn paired_gain(&self, baseline: &Self) -> PairedGain {
        assert_eq!(self.images(), baseline.images(), "tallies of different images");
        // From whole numbers: what is equal differs by exactly 0.
        let pairs = self.correct_by_image().into_iter().zip(baseline.correct_by_image());
        let attributes = self.correct.len() as f64;
        let gains: Vec<f64> =
            pairs.map(|(ours, theirs)| (ours - theirs) as f64 / attributes).collect();
        PairedGain { mean: mean(&gains), standard_error: standard_error(&gains) }
    }
}

/// √(Σ (v - mean)²/(n·(n - 1))); the spread of one value is not known.
fn standard_error(values: &[f64]) -> f64 {
    standard_deviation(values) / (values.len() as f64).sqrt()
}

/// A gain in accuracy between two settings on the same images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedGain {
    /// Mean over images of the difference in accuracy.
    pub mean: f64,
    /// Its standard error over images; NaN of one image.
    pub standard_error: f64,
}

/// The setting that is best on validation images, judged on test images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValidationChoice {
    /// Its index among the settings.
    pub index: usize,
    /// What it gains over the baseline on the validation images, on which it was chosen.
    pub validation_gain: PairedGain,
    /// What it gains over the baseline on the test images, which had no part in the choice.
    pub test_gain: PairedGain,
    /// Its accuracy on the test images.
    pub test_accuracy: f64,
}

impl ValidationChoice {
    /// Chooses among settings by their accuracy on validation images; of equally good ones it takes
    /// the baseline, then the first. `validation` and `test` hold a tally for each setting, in the
    /// same order, such as a row of [`transform_grid`](crate::transform_grid); `baseline` is an
    /// index into both.
    ///
    /// # Errors
    /// If the two lists are not of one length, or have no setting with the baseline's index, or the
    /// tallies of a list are of different numbers of images.
    pub fn new(validation: &[Tally], test: &[Tally], baseline: usize) -> Result<Self> {
        let are_paired =
            |tallies: &[Tally]| tallies.iter().all(|tally| tally.images() == tallies[0].images());
        if !are_paired(validation) || !are_paired(test) {
            return Err(Error::DifferentImages);
        }
        if validation.len() != test.len() || baseline >= test.len() {
            let (validation, test) = (validation.len(), test.len());
            return Err(Error::Settings { baseline, validation, test });
        }
        let mut best = baseline;
        for (index, tally) in validation.iter().enumerate() {
            if tally.accuracy() > validation[best].accuracy() {
                best = index;
            }
        }
        Ok(Self {
            index: best,
            validation_gain: validation[best].paired_gain(&validation[baseline]),
            test_gain: test[best].paired_gain(&test[baseline]),
            test_accuracy: test[best].accuracy(),
        })
    }
}
