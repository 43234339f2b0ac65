//! What a change of a network does to its logits and answers.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metrics::Predictions;

/// How far two networks are from each other on the same images
/// ([`Predictions::change`](crate::Predictions::change)): a compacted one from the one that was
/// compacted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredChange {
    /// Images.
    pub faces: usize,
    /// Where they are from.
    pub split: String,
    /// Mean |Δ| of the logits, over images and attributes.
    pub mean: f64,
    /// The greatest |Δ|.
    pub greatest: f64,
    /// Images times attributes.
    pub answers: usize,
    /// Answers that are others.
    pub flipped: usize,
}

impl Predictions {
    /// How far the logits of another network, `after`, are from these, on the same images: the mean
    /// and the greatest |Δ| over images and attributes, and how many answers flip. An answer is yes
    /// if its logit is above 0. `split` says where the images are from.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_model::Predictions;
    ///
    /// let labels = Tensor::new(&[[1f32, 0.]], &Device::Cpu)?;
    /// let (mut before, mut after) = (Predictions::default(), Predictions::default());
    /// before.add(&Tensor::new(&[[2f32, -0.25]], &Device::Cpu)?, &labels)?;
    /// after.add(&Tensor::new(&[[2f32, 0.25]], &Device::Cpu)?, &labels)?;
    /// let change = before.change(&after, "test")?;
    /// assert_eq!((change.mean, change.greatest), (0.25, 0.5));
    /// assert_eq!((change.answers, change.flipped), (2, 1));
    /// # Ok::<(), foresee_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoImages`] if no image was added, and an error if the images or their labels are
    /// not the same.
    pub fn change(&self, after: &Self, split: &str) -> Result<MeasuredChange> {
        if self.attributes != after.attributes || self.labels != after.labels {
            return Err(candle_core::Error::Msg(format!(
                "logits of {} images and {} attributes are compared with logits of {} images and \
                 {} attributes: the images and their labels must be the same",
                self.images(),
                self.attributes,
                after.images(),
                after.attributes
            ))
            .into());
        }
        if self.images() == 0 {
            return Err(Error::NoImages);
        }
        let mut change = MeasuredChange {
            faces: self.images(),
            split: split.into(),
            mean: 0.,
            greatest: 0.,
            answers: self.logits.len(),
            flipped: 0,
        };
        for (&old, &new) in self.logits.iter().zip(&after.logits) {
            // Infinity less itself would be NaN.
            let moved = if old == new { 0. } else { (f64::from(new) - f64::from(old)).abs() };
            change.mean += moved;
            change.greatest = change.greatest.max(moved);
            change.flipped += usize::from((old > 0.) != (new > 0.));
        }
        change.mean /= change.answers as f64;
        Ok(change)
    }
}

impl MeasuredChange {
    /// In words, such as `on 800 val faces the logits moved by 2.1e-4 in the mean and by 5.5e-3 at
    /// most, and 0 of 32000 answers flipped`.
    pub fn title(&self) -> String {
        // A file can say anything, and a terminal would obey control characters.
        let split = self.split.replace(char::is_control, "\u{FFFD}");
        format!(
            "on {} {split} faces the logits moved by {:.1e} in the mean and by {:.1e} at most, and \
             {} of {} answers flipped",
            self.faces, self.mean, self.greatest, self.flipped, self.answers
        )
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    fn predictions(logits: &[[f32; 2]; 2], labels: &[[f32; 2]; 2]) -> Predictions {
        let mut all = Predictions::default();
        for (logits, labels) in logits.iter().zip(labels) {
            let logits = Tensor::new(&[*logits], &Device::Cpu).unwrap();
            all.add(&logits, &Tensor::new(&[*labels], &Device::Cpu).unwrap()).unwrap();
        }
        all
    }

    const LABELS: [[f32; 2]; 2] = [[1., 0.], [0., 1.]];

    #[test]
    fn a_change_by_hand() {
        let before = predictions(&[[1., -1.], [0.5, 2.]], &LABELS);
        // 0, 1.5 with another answer, 0.25, and 2 with another answer: a logit of 0 is a no.
        let after = predictions(&[[1., 0.5], [0.25, 0.]], &LABELS);
        let change = before.change(&after, "val").unwrap();
        let expected = MeasuredChange {
            faces: 2,
            split: "val".into(),
            mean: 3.75 / 4.,
            greatest: 2.,
            answers: 4,
            flipped: 2,
        };
        assert_eq!(change, expected);
        assert_eq!(
            change.title(),
            "on 2 val faces the logits moved by 9.4e-1 in the mean and by 2.0e0 at most, and 2 of \
             4 answers flipped"
        );
        let none = before.change(&before, "val").unwrap();
        assert_eq!((none.mean, none.greatest, none.flipped), (0., 0., 0));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let before = predictions(&[[1., -1.], [0.5, f32::INFINITY]], &LABELS);
        let none = before.change(&before, "val").unwrap();
        assert_eq!((none.greatest, none.flipped), (0., 0));
        let others = predictions(&[[1., -1.], [0.5, 2.]], &[[1., 0.], [1., 1.]]);
        assert!(before.change(&others, "val").unwrap_err().to_string().contains("the same"));
        let empty = Predictions::default();
        assert!(before.change(&empty, "val").is_err());
        assert!(matches!(empty.change(&empty, "val"), Err(Error::NoImages)));
    }
}
