//! The sections of a configuration. `data/profiles/quick.toml` says what each key means.

use foresee_analysis::{CorrelationSamples, Importance};
use foresee_celeba::{ATTRIBUTES, Crop, SplitRule, attribute_index};
use foresee_model::{NetworkConfig, TrainConfig};
use foresee_perturb::{Curve, Norm, ToneCurve};
use foresee_report::{Font, Format, Palette, Preset, Style};
use serde::{Deserialize, Serialize};

use super::{Config, SystemName};
use crate::error::{Result, input};
use crate::program::quoted;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub synthetic_faces: usize,
    pub image_size: usize,
    pub crop: Crop,
    pub split: SplitRule,
}

/// A crop as a model's card has it.
pub(crate) fn crop_of_card(crop: Crop) -> foresee_model::Crop {
    match crop {
        Crop::Square => foresee_model::Crop::Square,
        Crop::Whole => foresee_model::Crop::Whole,
    }
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

/// All tone curves that are compared: the first is the identity, which the others are compared
/// with.
pub(crate) fn with_identity(curves: &[Curve]) -> Vec<Curve> {
    let others = curves.iter().filter(|curve| !curve.is_identity());
    std::iter::once(Curve::identity()).chain(others.cloned()).collect()
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

/// How figures look. It is no part of a run's identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figures {
    pub style: String,
    pub width: f64,
    pub font: String,
    pub font_size: f64,
    pub palette: String,
    pub formats: Vec<String>,
    pub dpi: f64,
    pub note: bool,
    pub attributes: Vec<String>,
    pub faces: Vec<String>,
}

impl Config {
    /// Makes sure that every setting is in its range.
    pub(super) fn check(&self) -> Result<()> {
        self.model.check()?;
        self.data.check()?;
        self.system.check(&self.data)?;
        self.train.check()?;
        self.check_training()?;
        self.check_norm()?;
        self.measure.check()?;
        between("prune.step", self.prune.step, 1, 4096)?;
        between("prune.random_seeds", self.prune.random_seeds as usize, 1, 1000)?;
        self.transform.check()?;
        between("predict.resamples", self.predict.resamples, 0, 100_000)?;
        self.attribute.check()?;
        self.figures.check()
    }
}

impl Config {
    /// Refuses norms of readout weights that are all the same.
    fn check_norm(&self) -> Result<()> {
        match self.prune.norm == Norm::Readout && !self.model.readout.is_trained() {
            true => Err(input(
                "prune.norm = readout is not possible: filter with this model.readout, which gives \
                 all channels one norm",
            )),
            false => Ok(()),
        }
    }

    /// Refuses options of training that would be without effect.
    fn check_training(&self) -> Result<()> {
        let trainer = &self.train.trainer;
        if self.system.name == SystemName::Paper {
            return Ok(trainer.check_for(&self.model)?);
        }
        match trainer.options().iter().find(|(_, value)| *value != 0.) {
            Some((key, value)) => Err(input(format!(
                "train.{key} = {value} is not possible: 0 with system.name={}, which does not \
                 know it",
                self.system.name.id()
            ))),
            None => Ok(()),
        }
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

/// The smallest text that journals print, in points; what is below it by its rounding alone
/// counts as this.
const LEAST_POINTS: f64 = 5.99;

impl Default for Figures {
    /// As in the profile `quick`: runs of before this section have none.
    fn default() -> Self {
        super::figures_of_quick()
    }
}

impl Figures {
    pub(crate) fn check(&self) -> Result<()> {
        let indices = self.attribute_indices()?;
        none_twice("figures.attributes", &indices, |i| self.attributes[i].clone())?;
        none_twice("figures.faces", &self.faces, |i| self.faces[i].clone())?;
        self.style().map(drop)
    }

    /// The style that the settings describe.
    pub fn style(&self) -> Result<Style> {
        let preset = Preset::from_id(&self.style);
        let preset = preset
            .ok_or_else(|| self.unknown("style", &self.style, &Preset::ALL.map(Preset::id)))?;
        let palette = Palette::from_id(&self.palette);
        let palette = palette.ok_or_else(|| {
            self.unknown("palette", &self.palette, &Palette::ALL.map(Palette::id))
        })?;
        let format = |id: &String| {
            Format::from_id(id)
                .ok_or_else(|| self.unknown("formats", id, &Format::ALL.map(Format::id)))
        };
        let mut style = Style::new(preset);
        if self.width != 0. {
            style.width = self.width;
        }
        if self.font_size != 0. {
            style.font_size = self.font_size;
        }
        style.palette = palette;
        style.formats = self.formats.iter().map(format).collect::<Result<_>>()?;
        style.dpi = self.dpi;
        style.note = self.note;
        let failed = |e: foresee_report::Error| input(format!("figures: {e}"));
        style.font = Font::find(&self.font).map_err(failed)?;
        style.check().map_err(failed)?;
        if style.smallest_text() < LEAST_POINTS {
            tracing::warn!(
                "the smallest text of figures has {:.1} pt, which is hard to read in print",
                style.smallest_text()
            );
        }
        let missing = style.missing_signs();
        if !missing.is_empty() {
            tracing::warn!(
                "the font {} lacks {missing}: lines with such signs are set in DejaVu Sans",
                style.font.family()
            );
        }
        Ok(style)
    }

    fn unknown(&self, key: &str, value: &str, known: &[&str]) -> anyhow::Error {
        input(format!("figures.{key} = {value} is not possible: one of {}", known.join(", ")))
    }

    /// The places of the attributes among CelebA's 40.
    pub fn attribute_indices(&self) -> Result<Vec<usize>> {
        let index = |name: &String| {
            attribute_index(name).map_err(|e| input(format!("figures.attributes: {e}")))
        };
        self.attributes.iter().map(index).collect()
    }

    /// The options of the command `figures` that choose these settings in a run with those of
    /// `run`.
    pub fn as_options(&self, run: &Self) -> String {
        let mut options = vec![];
        let mut option = |name: &str, value: String, is_usual: bool| {
            if !is_usual {
                options.push(format!(" --{name} {}", quoted(&value)));
            }
        };
        // Another style brings its own sizes.
        let has_style = self.style == run.style;
        let usual = |of_run: f64| if has_style { of_run } else { 0. };
        option("style", self.style.clone(), has_style);
        option("width", self.width.to_string(), self.width == usual(run.width));
        option("font", self.font.clone(), self.font == run.font);
        option("font-size", self.font_size.to_string(), self.font_size == usual(run.font_size));
        option("palette", self.palette.clone(), self.palette == run.palette);
        option("format", self.formats.join(","), self.formats == run.formats);
        option("dpi", self.dpi.to_string(), self.dpi == run.dpi);
        let note = if self.note == run.note { "" } else { " --no-note" };
        options.concat() + note
    }

    /// A file of a font by its absolute path, so that a run draws alike wherever it is called.
    pub(crate) fn name_font(&mut self) -> Result<()> {
        if [".ttf", ".otf"].iter().any(|end| self.font.to_lowercase().ends_with(end)) {
            self.font = std::path::absolute(&self.font)?.display().to_string();
        }
        Ok(())
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
