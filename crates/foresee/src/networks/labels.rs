//! What is on the images: a class each, or a yes or no for each output.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use foresee_perturb::Tally;
use foresee_stats::Matrix;

use crate::error::Result;
use crate::hash::sha256;

/// What is on each image of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Labels {
    /// One of the classes, for networks whose greatest output is the answer.
    Classes(Vec<usize>),
    /// A yes or no for each output, for networks whose outputs above 0 are a yes.
    Attributes(Vec<Vec<bool>>),
}

impl Labels {
    /// Classes `[B]` or labels [B, K] of some images.
    ///
    /// # Errors
    /// If candle fails.
    pub fn tensor(&self, images: &[usize]) -> Result<Tensor> {
        Ok(match self {
            Self::Classes(classes) => {
                let classes: Vec<u32> = images.iter().map(|&i| classes[i] as u32).collect();
                Tensor::from_vec(classes, images.len(), &Device::Cpu)?
            }
            Self::Attributes(rows) => {
                let of_image = |&i: &usize| rows[i].iter().map(|&is| f32::from(u8::from(is)));
                let values: Vec<f32> = images.iter().flat_map(of_image).collect();
                let outputs = values.len() / images.len().max(1);
                Tensor::from_vec(values, (images.len(), outputs), &Device::Cpu)?
            }
        })
    }

    /// Whether labels of three outputs or more say yes to exactly one of them for every image, as
    /// classes would that exclude each other.
    pub fn are_one_of_many(&self) -> bool {
        let is_one = |row: &Vec<bool>| row.len() > 2 && row.iter().filter(|is| **is).count() == 1;
        matches!(self, Self::Attributes(rows) if rows.len() > 1 && rows.iter().all(is_one))
    }

    /// Those of one image.
    pub fn of(&self, image: usize) -> Self {
        match self {
            Self::Classes(classes) => Self::Classes(vec![classes[image]]),
            Self::Attributes(rows) => Self::Attributes(vec![rows[image].clone()]),
        }
    }

    /// The accuracy of logits [images, K] of these images.
    ///
    /// # Errors
    /// If a logit is NaN.
    pub fn accuracy(&self, images: &[usize], logits: &Matrix) -> Result<f64> {
        let values: Vec<f64> = (0..logits.rows()).flat_map(|i| logits.row(i).to_vec()).collect();
        let shape = (logits.rows(), logits.columns());
        let mut tally = Tally::default();
        tally.add(&Tensor::from_vec(values, shape, &Device::Cpu)?, &self.tensor(images)?)?;
        Ok(tally.accuracy())
    }

    /// The accuracy of always answering what most of these images have: the majority-class
    /// baseline.
    pub fn majority_accuracy(&self, images: &[usize]) -> f64 {
        match self {
            Self::Classes(classes) => {
                let mut counts = BTreeMap::new();
                images.iter().for_each(|&i| *counts.entry(classes[i]).or_insert(0) += 1);
                let most: usize = counts.into_values().max().unwrap_or(0);
                most as f64 / images.len().max(1) as f64
            }
            Self::Attributes(_) => {
                let each = self.majority_by_output(images);
                each.iter().sum::<f64>() / each.len().max(1) as f64
            }
        }
    }

    /// The same of each output; empty if each image has one class.
    pub fn majority_by_output(&self, images: &[usize]) -> Vec<f64> {
        let Self::Attributes(rows) = self else { return vec![] };
        let most = |k: usize| {
            let with = images.iter().filter(|&&i| rows[i][k]).count();
            with.max(images.len() - with) as f64 / images.len().max(1) as f64
        };
        (0..rows.first().map_or(0, Vec::len)).map(most).collect()
    }

    /// SHA-256 of the labels.
    pub fn sha256(&self) -> String {
        sha256(format!("{self:?}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_and_baseline_by_hand() -> Result<()> {
        let classes = Labels::Classes(vec![0, 1, 1]);
        assert_eq!(classes.tensor(&[1, 0])?.to_vec1::<u32>()?, [1, 0]);
        // The first is right; the second says 0, as the first of two that are equal.
        let logits = Matrix::from_rows(&[vec![2., 1.], vec![3., 3.], vec![0., 1.]]);
        assert!((classes.accuracy(&[0, 1, 2], &logits)? - 2. / 3.).abs() < 1e-9);
        assert_eq!(classes.majority_accuracy(&[0, 1]), 0.5);
        assert_eq!(classes.majority_accuracy(&[1, 2]), 1.);

        let attributes = Labels::Attributes(vec![vec![false, true], vec![false, false]]);
        assert_eq!(attributes.tensor(&[0])?.to_vec2::<f32>()?, [[0., 1.]]);
        // The first: never; the second: half.
        assert_eq!(attributes.majority_by_output(&[0, 1]), [1., 0.5]);
        assert_eq!(attributes.majority_accuracy(&[0, 1]), 0.75);
        assert_eq!(attributes.majority_accuracy(&[1]), 1.);
        let logits = Matrix::from_rows(&[vec![-1., 1.], vec![1., -1.]]);
        assert_eq!(attributes.accuracy(&[0, 1], &logits)?, 0.75);
        Ok(())
    }
}
