//! The sections of a configuration. `data/profiles/quick.toml` says what each key means.

use foresee_analysis::{CorrelationSamples, Importance};
use foresee_celeba::{ATTRIBUTES, Crop, SplitRule, attribute_index};
use foresee_model::{NetworkConfig, TrainConfig};
use foresee_perturb::{Curve, Norm};
use serde::{Deserialize, Serialize};

use super::Config;
use crate::error::{Result, input};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub synthetic_faces: usize,
    pub image_size: usize,
    pub crop: Crop,
    pub split: SplitRule,
}

/// The trainer's own settings, and how it is given its images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Train {
    #[serde(flatten)]
    pub trainer: TrainConfig,
    pub batch_size: usize,
    pub flip: bool,
    pub crop: f64,
    pub limit: usize,
    pub checkpoint_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Measure {
    pub images: usize,
    pub correlation: CorrelationSamples,
    pub importance: Importance,
    pub faces: usize,
    pub attributes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prune {
    pub images: usize,
    pub step: usize,
    pub random_seeds: u64,
    pub norm: Norm,
    pub absolute: bool,
    pub takeover: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transform {
    pub images: usize,
    pub sigmas: Vec<f64>,
    pub curves: Vec<Curve>,
    pub clip: bool,
    pub validation: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Predict {
    pub images: usize,
    pub channels: usize,
    pub resamples: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attribute {
    pub images: usize,
    pub steps: usize,
    pub grid: usize,
    pub lime_samples: usize,
    pub checks: usize,
    pub neighbours: usize,
    pub permutation_images: usize,
    pub repeats: usize,
    pub channels: usize,
    pub surrogate_images: usize,
}

impl Config {
    /// Makes sure that every setting is in its range.
    pub(super) fn check(&self) -> Result<()> {
        self.model.check()?;
        self.data.check()?;
        self.train.check()?;
        self.measure.check()?;
        between("prune.step", self.prune.step, 1, 4096)?;
        between("prune.random_seeds", self.prune.random_seeds as usize, 1, 1000)?;
        self.transform.check()?;
        between("predict.resamples", self.predict.resamples, 0, 100_000)?;
        self.attribute.check()
    }
}

impl Data {
    fn check(&self) -> Result<()> {
        between("data.synthetic_faces", self.synthetic_faces, 20, 999_999)?;
        between("data.image_size", self.image_size, 8, 1024)
    }
}

impl Train {
    fn check(&self) -> Result<()> {
        self.trainer.check()?;
        between("train.batch_size", self.batch_size, 1, 65_536)?;
        match (0.1..=1.).contains(&self.crop) {
            true => Ok(()),
            false => Err(input(format!(
                "train.crop = {} is not possible: a share from 0.1 to 1",
                self.crop
            ))),
        }
    }
}

impl Measure {
    fn check(&self) -> Result<()> {
        between("measure.faces", self.faces, 1, 16)?;
        between("measure.attributes (their number)", self.attributes.len(), 1, 12)?;
        let indices =
            self.attribute_indices().map_err(|e| input(format!("measure.attributes: {e}")))?;
        none_twice("measure.attributes", &indices, |i| self.attributes[i].clone())
    }

    /// Writes the attributes as CelebA does: the setting may differ in case.
    pub(super) fn name_attributes(&mut self) -> Result<()> {
        let indices = self.attribute_indices()?;
        self.attributes = indices.into_iter().map(|k| ATTRIBUTES[k].to_owned()).collect();
        Ok(())
    }

    /// The places of the attributes among CelebA's 40.
    pub fn attribute_indices(&self) -> Result<Vec<usize>> {
        self.attributes.iter().map(|name| Ok(attribute_index(name)?)).collect()
    }
}

impl Transform {
    fn check(&self) -> Result<()> {
        if self.sigmas.is_empty() || self.sigmas.iter().any(|s| !(0. ..=10.).contains(s)) {
            return Err(input("transform.sigmas: at least one number, each from 0 to 10"));
        }
        none_twice("transform.sigmas", &self.sigmas, |i| self.sigmas[i].to_string())?;
        if self.curves.is_empty() {
            return Err(input("transform.curves: at least one curve"));
        }
        none_twice("transform.curves", &self.curves, |i| self.curves[i].to_string())
    }
}

impl Attribute {
    pub(super) fn check(&self) -> Result<()> {
        between("attribute.steps", self.steps, usize::from(self.images > 0), 1000)?;
        between("attribute.grid", self.grid, 2, 64)?;
        between("attribute.lime_samples", self.lime_samples, 2, 100_000)?;
        between("attribute.neighbours", self.neighbours, 1, 1000)?;
        between("attribute.repeats", self.repeats, 2, 1000)?;
        none_or_from("attribute.permutation_images", self.permutation_images, 2)?;
        none_or_from("attribute.surrogate_images", self.surrogate_images, 10)
    }
}

fn none_twice<T: PartialEq>(key: &str, values: &[T], name: impl Fn(usize) -> String) -> Result<()> {
    match (0..values.len()).find(|&i| values[..i].contains(&values[i])) {
        Some(i) => Err(input(format!("{key}: {} is named twice", name(i)))),
        None => Ok(()),
    }
}

fn between(key: &str, value: usize, low: usize, high: usize) -> Result<()> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => {
            Err(input(format!("{key} = {value} is not possible: a number from {low} to {high}")))
        }
    }
}

fn none_or_from(key: &str, value: usize, least: usize) -> Result<()> {
    match value == 0 || value >= least {
        true => Ok(()),
        false => Err(input(format!(
            "{key} = {value} is not possible: a number from {least}, or 0 to leave it out"
        ))),
    }
}

/// Which network a run trains.
pub(crate) type Model = NetworkConfig;
