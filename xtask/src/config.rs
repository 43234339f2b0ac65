//! Profiles, configuration files and `--set`: raw tables are merged first, then lifted into a
//! checked configuration.

use std::path::Path;

use anyhow::{Context, Result};
use foresee_celeba::{Crop, SplitRule, attribute_index};
use foresee_model::{LossConfig, NetworkConfig, Precision, Readout, Sparsity, TrainConfig};
use foresee_perturb::PowerCurve;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::error::input;

const PROFILES: [(&str, &str); 3] = [
    ("quick", include_str!("../../data/profiles/quick.toml")),
    ("small", include_str!("../../data/profiles/small.toml")),
    ("paper", include_str!("../../data/profiles/paper.toml")),
];

/// Everything that decides a run besides the seed, the data and the device.
/// `data/profiles/quick.toml` says what each key means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data: Data,
    pub model: Model,
    pub train: Train,
    pub measure: Measure,
    pub prune: Prune,
    pub transform: Transform,
    /// Runs of earlier versions have none.
    #[serde(default)]
    pub predict: Predict,
    #[serde(default, skip_serializing_if = "Attribute::is_left_out")]
    pub attribute: Attribute,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub synthetic_faces: usize,
    pub image_size: usize,
    #[serde(default, skip_serializing_if = "is_square")]
    pub crop: Part,
    pub split: Rule,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    #[default]
    Square,
    Whole,
}

impl Part {
    /// As in a model's card.
    pub fn name(self) -> &'static str {
        match self {
            Self::Square => "square",
            Self::Whole => "whole",
        }
    }
}

impl From<Part> for Crop {
    fn from(part: Part) -> Self {
        match part {
            Part::Square => Self::Square,
            Part::Whole => Self::Whole,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    Official,
    Paper,
}

impl From<Rule> for SplitRule {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Official => Self::Official,
            Rule::Paper => Self::Paper,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub channels: usize,
    pub mask_kernel: usize,
    pub readout: Readout,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub attention: bool,
    pub precision: Precision,
}

fn yes() -> bool {
    true
}

// Settings that came later are not written where they change nothing, so that a run of before is
// still up to date.

fn one() -> f64 {
    1.
}

fn is_one(value: &f64) -> bool {
    *value == 1.
}

fn is_square(part: &Part) -> bool {
    *part == Part::Square
}

fn is_zero(value: &f64) -> bool {
    *value == 0.
}

fn is_true(value: &bool) -> bool {
    *value
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Train {
    pub epochs: usize,
    pub batch_size: usize,
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub warmup: f64,
    pub lambda: f64,
    pub sparsity: Sparsity,
    pub flip: bool,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub crop: f64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub average: f64,
    pub limit: usize,
    pub checkpoint_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    pub images: usize,
    pub correlation: Samples,
    pub importance: Importance,
    pub faces: usize,
    pub attributes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Samples {
    Positions,
    Pooled,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Importance {
    Mask,
    Contribution,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    Filter,
    Readout,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prune {
    pub images: usize,
    pub step: usize,
    pub random_seeds: u64,
    pub norm: Norm,
    pub absolute: bool,
    pub takeover: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    pub images: usize,
    pub sigmas: Vec<f64>,
    pub n: Vec<f64>,
    pub beta: Vec<f64>,
    pub clip: bool,
    pub validation: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predict {
    pub images: usize,
    pub channels: usize,
    pub resamples: usize,
}

/// Runs of earlier versions have the first two or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attribute {
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

impl Default for Attribute {
    fn default() -> Self {
        Self {
            images: 0,
            steps: 12,
            grid: 8,
            lime_samples: 200,
            checks: 0,
            neighbours: 3,
            permutation_images: 0,
            repeats: 5,
            channels: 0,
            surrogate_images: 0,
        }
    }
}

impl Attribute {
    fn check(&self) -> Result<()> {
        between("attribute.steps", self.steps, usize::from(self.images > 0), 1000)?;
        between("attribute.grid", self.grid, 2, 64)?;
        between("attribute.lime_samples", self.lime_samples, 2, 100_000)?;
        between("attribute.neighbours", self.neighbours, 1, 1000)?;
        between("attribute.repeats", self.repeats, 2, 1000)?;
        for (key, value, least) in [
            ("permutation_images", self.permutation_images, 2),
            ("surrogate_images", self.surrogate_images, 10),
        ] {
            if (1..least).contains(&value) {
                return Err(input(format!(
                    "attribute.{key} = {value} is not possible: a number from {least}, or 0 to leave it out"
                )));
            }
        }
        Ok(())
    }

    fn is_left_out(&self) -> bool {
        self.images == 0
    }
}

impl Config {
    /// λ of Eq. 10 and its reading, as figures and tables name it.
    pub fn sparsity_in_words(&self) -> String {
        match (self.model.attention, self.train.sparsity) {
            (false, _) => "no masks".into(),
            (true, Sparsity::Sum) => format!("λ = {:e} (sum)", self.train.lambda),
            (true, Sparsity::Mean) => format!("λ = {:e} (mean)", self.train.lambda),
        }
    }

    /// The profile, with a file's keys over it, with `--set`'s over both.
    pub fn resolve(profile: &str, file: Option<&Path>, set: &[String]) -> Result<Self> {
        let names = || PROFILES.map(|(name, _)| name).join(", ");
        let (_, text) = PROFILES.iter().find(|(name, _)| *name == profile).ok_or_else(|| {
            input(format!("there is no profile `{profile}`; the profiles are {}", names()))
        })?;
        let mut table: Table = toml::from_str(text).context("a built-in profile")?;
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|e| input(format!("configuration {}: {e}", path.display())))?;
            put_over(&mut table, &text)
                .map_err(|e| input(format!("configuration {}: {e}", path.display())))?;
        }
        for assignment in set {
            let over = parse_assignment(assignment)
                .map_err(|e| input(format!("--set {assignment}: {e}")))?;
            merge(&mut table, over, "").map_err(|e| input(format!("--set {assignment}: {e}")))?;
        }
        Self::lifted(table)
    }

    /// The configuration that a table of all keys says, if it is possible.
    fn lifted(table: Table) -> Result<Self> {
        let config: Self = table
            .try_into()
            .map_err(|e| input(format!("configuration: {}", e.to_string().trim())))?;
        config.check()?;
        Ok(config)
    }

    /// This with other settings of the section `attribute`, as `--set` takes them.
    pub fn with_attribute(&self, set: &[String]) -> Result<Self> {
        let mut table = Table::new();
        table.insert("attribute".into(), Value::Table(Table::try_from(&self.attribute)?));
        for assignment in set {
            let over = parse_assignment(assignment)
                .map_err(|e| input(format!("--set {assignment}: {e}")))?;
            merge(&mut table, over, "").map_err(|e| input(format!("--set {assignment}: {e}")))?;
        }
        let attribute = table.remove("attribute").unwrap_or(Value::Table(Table::new()));
        let attribute: Attribute = attribute
            .try_into()
            .map_err(|e| input(format!("configuration: {}", e.to_string().trim())))?;
        attribute.check()?;
        Ok(Self { attribute, ..self.clone() })
    }

    pub fn network(&self, attributes: usize) -> NetworkConfig {
        let Model { channels, mask_kernel, readout, attention, precision } = self.model;
        NetworkConfig { attributes, channels, mask_kernel, readout, attention, precision }
    }

    pub fn training(&self) -> TrainConfig {
        TrainConfig {
            epochs: self.train.epochs,
            learning_rate: self.train.learning_rate,
            weight_decay: self.train.weight_decay,
            warmup: self.train.warmup,
            average: self.train.average,
            loss: LossConfig { lambda: self.train.lambda, sparsity: self.train.sparsity },
        }
    }

    /// The curves of the grid; the first is the identity, which the others are compared with.
    pub fn curves(&self) -> Result<Vec<PowerCurve>> {
        let mut curves = vec![PowerCurve::new(1., 0.)?];
        for &n in &self.transform.n {
            for &beta in &self.transform.beta {
                let curve =
                    PowerCurve::new(n, beta).map_err(|e| input(format!("transform: {e}")))?;
                if !curves.contains(&curve) {
                    curves.push(curve);
                }
            }
        }
        Ok(curves)
    }

    fn check(&self) -> Result<()> {
        self.network(1).check()?;
        self.training().check()?;
        self.curves()?;
        between("data.synthetic_faces", self.data.synthetic_faces, 20, 999_999)?;
        between("data.image_size", self.data.image_size, 8, 1024)?;
        between("train.batch_size", self.train.batch_size, 1, 65_536)?;
        if !(0.1..=1.).contains(&self.train.crop) {
            return Err(input(format!(
                "train.crop = {} is not possible: a share from 0.1 to 1",
                self.train.crop
            )));
        }
        between("prune.step", self.prune.step, 1, 4096)?;
        between("prune.random_seeds", self.prune.random_seeds as usize, 1, 1000)?;
        between("predict.resamples", self.predict.resamples, 0, 100_000)?;
        self.attribute.check()?;
        between("measure.faces", self.measure.faces, 1, 16)?;
        between("measure.attributes (their number)", self.measure.attributes.len(), 1, 12)?;
        for (i, name) in self.measure.attributes.iter().enumerate() {
            attribute_index(name).map_err(|e| input(format!("measure.attributes: {e}")))?;
            if self.measure.attributes[..i].contains(name) {
                return Err(input(format!("measure.attributes: {name} is named twice")));
            }
        }
        if self.transform.sigmas.is_empty()
            || self.transform.sigmas.iter().any(|s| !(0. ..=10.).contains(s))
        {
            return Err(input(
                "transform.sigmas: at least one number, each from 0 to 10".to_string(),
            ));
        }
        Ok(())
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

/// Puts the keys of a file's text over a table's.
fn put_over(table: &mut Table, text: &str) -> std::result::Result<(), String> {
    merge(table, toml::from_str(text).map_err(|e| e.to_string())?, "")
}

/// `train.epochs=3` as a table. What is no TOML value is taken as a string.
fn parse_assignment(assignment: &str) -> std::result::Result<Table, String> {
    let (key, value) =
        assignment.split_once('=').ok_or("expected KEY=VALUE, such as train.epochs=3")?;
    let value = toml::from_str::<Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| Value::String(value.into()));
    let mut parts: Vec<&str> = key.trim().split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let leaf = Table::from_iter([(last.to_owned(), value)]);
    Ok(parts
        .into_iter()
        .rev()
        .fold(leaf, |inner, part| Table::from_iter([(part.to_owned(), Value::Table(inner))])))
}

/// Puts the values of one table over another's. Profiles hold every key, so a key that is not there
/// yet is unknown.
fn merge(base: &mut Table, over: Table, path: &str) -> std::result::Result<(), String> {
    for (key, value) in over {
        let known: Vec<String> = base.keys().map(|k| format!("{path}{k}")).collect();
        match (base.get_mut(&key), value) {
            (None, _) => {
                return Err(format!(
                    "there is no key `{path}{key}`; the keys are {}",
                    known.join(", ")
                ));
            }
            (Some(Value::Table(inner)), Value::Table(over)) => {
                merge(inner, over, &format!("{path}{key}."))?
            }
            (Some(Value::Table(_)), _) => {
                return Err(format!(
                    "`{path}{key}` is a section; set one of its keys, such as {path}{key}.KEY=VALUE"
                ));
            }
            (Some(Value::Float(slot)), Value::Integer(value)) => *slot = value as f64,
            (Some(slot), value) => {
                if slot.type_str() != value.type_str() {
                    return Err(format!(
                        "`{path}{key}` = {value} is a {}, expected a {} such as {slot}",
                        value.type_str(),
                        slot.type_str()
                    ));
                }
                *slot = value;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> Result<Config> {
        Config::resolve("quick", None, &values.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    proptest::proptest! {
        // PROPTEST_CASES says how many.
        #[test]
        fn no_text_of_a_configuration_panics(at in 0f64..1., gone in 0usize..40, put in "([a-z_.=\\[\\]{}\"# \n0-9eE+-]{0,24}|\\PC{0,8}|[0-9]{1,40}|(nan|inf|-1e400|\\[\\[))", twice: bool) {
            let mut text: Vec<char> = PROFILES[0].1.chars().collect();
            let at = (at * text.len() as f64) as usize;
            let end = (at + gone).min(text.len());
            let copy = if twice { text[at..end].to_vec() } else { vec![] };
            text.splice(at..end, put.chars().chain(copy));
            let mut table: Table = toml::from_str(PROFILES[0].1).unwrap();
            if put_over(&mut table, &text.into_iter().collect::<String>()).is_ok() {
                let _ = Config::lifted(table);
            }
            let _ = set(&[&put]);
        }
    }

    #[test]
    fn all_profiles_resolve() {
        for (name, _) in PROFILES {
            Config::resolve(name, None, &[]).unwrap();
        }
    }

    #[test]
    fn set_changes_one_key() {
        let config = set(&[
            "train.epochs=9",
            "train.lambda=0",
            "model.readout=mean",
            "transform.n=[1, 4.5]",
        ])
        .unwrap();
        assert_eq!(
            (config.train.epochs, config.train.lambda, config.model.readout),
            (9, 0., Readout::Mean)
        );
        assert_eq!(config.transform.n, [1., 4.5]);
        assert_eq!(config.curves().unwrap().len(), 6);
    }

    #[test]
    fn wrong_values_are_told_with_key_and_range() {
        let message = |values: &[&str]| format!("{:#}", set(values).unwrap_err());
        assert!(
            message(&["train.epoch=9"]).contains("there is no key `train.epoch`; the keys are")
        );
        assert!(message(&["train.epochs=many"]).contains("is a string, expected a integer"));
        assert!(message(&["train.epochs=0"]).contains("train.epochs = 0 is not possible"));
        assert!(
            message(&["train.learning_rate=-1"])
                .contains("train.learning_rate = -1 is not possible")
        );
        assert!(message(&["model.readout=max"]).contains("unknown variant `max`"));
        assert!(message(&["train=1"]).contains("`train` is a section"));
        assert!(message(&["epochs"]).contains("expected KEY=VALUE"));
        assert!(message(&["measure.attributes=['Smile']"]).contains("did you mean Smiling"));
        assert!(message(&["measure.attributes=['Bald', 'Bald']"]).contains("Bald is named twice"));
        assert!(message(&["transform.sigmas=[-1.0]"]).contains("transform.sigmas"));
        assert!(
            format!("{:#}", Config::resolve("fast", None, &[]).unwrap_err())
                .contains("the profiles are quick, small, paper")
        );
    }
}
