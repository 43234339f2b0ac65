//! The settings of a run. A profile's table is put over `quick`'s, a file's and `--set`'s over
//! both; the result is then lifted into a checked configuration.

mod merge;
mod sections;
mod system;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use foresee_data::PROFILES;
use foresee_model::{Readout, Sparsity};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Table;

pub(crate) use self::merge::assigned_keys;
use self::merge::{merge_assignment, merge_text};
pub(crate) use self::sections::{
    Attribute, Data, Figures, Measure, Model, Predict, Prune, Train, Transform, crop_of_card,
    with_identity,
};
pub(crate) use self::system::{OF_PAPER, System, SystemName};
use crate::error::{Result, input};

/// Everything that decides a run besides the seed, the faces and the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub(crate) data: Data,
    pub(crate) model: Model,
    #[serde(default = "system_of_quick")]
    pub(crate) system: System,
    pub(crate) train: Train,
    pub(crate) measure: Measure,
    pub(crate) prune: Prune,
    pub(crate) transform: Transform,
    pub(crate) predict: Predict,
    pub(crate) attribute: Attribute,
    #[serde(default)]
    pub(crate) figures: Figures,
}

/// C of the paper.
const PAPER_CHANNELS: usize = 128;

impl Config {
    /// A profile, with the keys of a TOML file put over it, and assignments such as
    /// `train.epochs=3` over both.
    ///
    /// # Errors
    /// If there is no such profile, the file cannot be read, a key is unknown, or a value is of
    /// another type or outside its range.
    pub fn resolve(profile: &str, file: Option<&Path>, set: &[String]) -> Result<Self> {
        let table = profile_table(profile)?;
        let file = file.map(text_of).transpose()?;
        let mut config = Self::over(table.clone(), file.as_ref(), set)?;
        if config.system.name != SystemName::Paper {
            let options = config.train.trainer.options().map(|(key, _)| key);
            config = Self::over(without(table, &options), file.as_ref(), set)?;
        } else if !config.model.attention {
            config = Self::over(without(table, &["mask_decay"]), file.as_ref(), set)?;
        }
        config.check()?;
        config.measure.name_attributes()?;
        config.figures.name_font()?;
        Ok(config)
    }

    /// A table of all keys, with a file and assignments put over it.
    fn over(mut table: Table, file: Option<&(&Path, String)>, set: &[String]) -> Result<Self> {
        if let Some((path, text)) = file {
            merge_text(&mut table, text)
                .and_then(|()| typed::<Self>(&table))
                .map_err(|e| wrong_file(path, e))?;
        }
        assign(table, set)
    }

    /// These settings with assignments such as `attribute.grid=4` put over the section
    /// `attribute`; other sections are unknown to it.
    pub(crate) fn with_attribute(&self, set: &[String]) -> Result<Self> {
        #[derive(Serialize, Deserialize)]
        struct Only {
            attribute: Attribute,
        }
        let only = Only { attribute: self.attribute.clone() };
        let Only { attribute } = assign(Table::try_from(only)?, set)?;
        attribute.check()?;
        Ok(Self { attribute, ..self.clone() })
    }

    /// Refuses the settings of another network than the paper's.
    pub(crate) fn check_is_of_paper(&self) -> Result<()> {
        match self.system.name {
            SystemName::Paper => Ok(()),
            system => Err(input(format!(
                "system.name = {}: this command is for the paper's network; `train --system` and \
                 `compare` train others",
                system.id()
            ))),
        }
    }

    /// What decides a run, as `section.key` and value: all settings but those of the figures, and
    /// of other systems than the paper's network if it is that.
    pub(crate) fn identity(&self) -> Result<Vec<(String, String)>> {
        let is_paper = self.system.name == SystemName::Paper;
        let mut keys = self.keys()?;
        keys.retain(|(key, _)| !key.starts_with("figures."));
        keys.retain(|(key, _)| !is_paper || !key.starts_with("system."));
        Ok(keys)
    }

    /// The settings of some sections, as `section.key` and value.
    pub(crate) fn keys_of(&self, sections: &[&str]) -> Result<Vec<(String, String)>> {
        let mut keys = self.keys()?;
        keys.retain(|(key, _)| {
            key.split_once('.').is_some_and(|(section, _)| sections.contains(&section))
        });
        Ok(keys)
    }

    /// All settings as `section.key` and value, with those that files leave out where they are 0.
    pub(crate) fn keys(&self) -> Result<Vec<(String, String)>> {
        let mut config = serde_json::to_value(self)?;
        if let Some(train) = config.get_mut("train").and_then(Value::as_object_mut) {
            for (key, value) in self.train.trainer.left_out_if_zero() {
                train.entry(key).or_insert(Value::from(value));
            }
            train.entry("micro_batch").or_insert(Value::from(0));
            train.entry("gpu_micro_batch").or_insert(Value::from(0));
        }
        if let Some(system) = config.get_mut("system").and_then(Value::as_object_mut) {
            system.entry("identities").or_insert(Value::from(0));
            system.entry("similarity").or_insert(Value::from(0.));
            system.entry("windows").or_insert(Value::from(1));
            system.entry("stem").or_insert(Value::from("auto"));
        }
        let mut keys = vec![];
        for (section, values) in config.as_object().into_iter().flatten() {
            let values = values.as_object().into_iter().flatten();
            keys.extend(values.map(|(key, v)| (format!("{section}.{key}"), v.to_string())));
        }
        Ok(keys)
    }

    /// The settings that have another value in another configuration, as `section.key` with the
    /// value here.
    pub(crate) fn differing(&self, other: &Self) -> Result<BTreeMap<String, Value>> {
        let others: BTreeMap<String, String> = other.keys()?.into_iter().collect();
        let own = self.keys()?.into_iter();
        let differing = own.filter(|(key, value)| others.get(key) != Some(value));
        differing.map(|(key, value)| Ok((key, serde_json::from_str(&value)?))).collect()
    }

    /// C where it is not the paper's, λ of Eq. 10, the readout if it is not linear, and the options
    /// of the training that are on, as figures and tables name them.
    pub(crate) fn training_title(&self) -> String {
        let channels = self.model.channels;
        let channels = (self.system.name == SystemName::Paper && channels != PAPER_CHANNELS)
            .then(|| format!("{channels} channels (the paper: {PAPER_CHANNELS})"));
        let readout = self.readout_title().map(String::from);
        let sleeps = self.system.name == SystemName::Paper && self.model.attention;
        let on = self.train.trainer.left_out_if_zero();
        let on = on.filter(|(key, value)| *value != 0. && (sleeps || *key != "sleep"));
        let options = on.map(|(key, value)| format!("train.{key} = {value}"));
        let all = channels.into_iter().chain([self.sparsity_title()]).chain(readout).chain(options);
        all.collect::<Vec<_>>().join(", ")
    }

    /// The readout, if it is not linear.
    pub(crate) fn readout_title(&self) -> Option<&'static str> {
        match self.model.readout {
            Readout::Linear => None,
            Readout::Mean => Some("readout by the mean"),
            Readout::Positive => Some("readout weights from 0"),
            Readout::Sum => Some("readout by the sum"),
            Readout::Signs => Some("readout by fixed signs"),
        }
    }

    /// λ of Eq. 10 and what it multiplies.
    pub(crate) fn sparsity_title(&self) -> String {
        let trainer = &self.train.trainer;
        match (self.model.attention, trainer.sparsity) {
            (false, _) => "no masks".into(),
            (true, _) if trainer.lambda == 0. => "λ = 0".into(),
            (true, Sparsity::Sum) => format!("λ = {:e} (sum)", trainer.lambda),
            (true, Sparsity::Mean) => format!("λ = {:e} (mean)", trainer.lambda),
            (true, Sparsity::Batch) => format!("λ = {:e} (sum over the batch)", trainer.lambda),
            (true, Sparsity::Pixels) => format!("λ = {:e} (sum at 32 px)", trainer.lambda),
            (true, Sparsity::Group) => format!("λ = {:e} (group)", trainer.lambda),
        }
    }
}

/// The sections of the profile `quick` that manifests of before do not have.
#[derive(Deserialize)]
struct Added {
    figures: Figures,
    system: System,
}

fn added() -> Added {
    let quick: std::result::Result<Added, _> = toml::from_str(PROFILES[0].1);
    quick.expect("the built-in profile `quick` has all sections")
}

/// The section `figures` of the profile `quick`.
fn figures_of_quick() -> Figures {
    added().figures
}

/// The section `system` of the profile `quick`.
fn system_of_quick() -> System {
    added().system
}

/// All keys of a profile: what it states, and what `quick` states otherwise.
fn profile_table(profile: &str) -> Result<Table> {
    let Some((_, text)) = PROFILES.iter().find(|(name, _)| *name == profile) else {
        let names = PROFILES.map(|(name, _)| name).join(", ");
        return Err(input(format!("there is no profile `{profile}`; the profiles are {names}")));
    };
    let mut table: Table = toml::from_str(PROFILES[0].1).context("a built-in profile")?;
    merge_text(&mut table, text).map_err(anyhow::Error::msg).context("a built-in profile")?;
    Ok(table)
}

/// A file with its text, which is read once: it may be a pipe.
fn text_of(path: &Path) -> Result<(&Path, String)> {
    let text = std::fs::read_to_string(path).map_err(|e| wrong_file(path, e.to_string()))?;
    Ok((path, text))
}

fn wrong_file(path: &Path, why: String) -> anyhow::Error {
    input(format!("configuration {}: {why}", path.display()))
}

/// A profile without these options of the training: the network that is trained does not know
/// them, as one without masks knows no decay of masks.
fn without(mut table: Table, options: &[&str]) -> Table {
    if let Some(train) = table.get_mut("train").and_then(toml::Value::as_table_mut) {
        train.extend(options.iter().map(|&key| (key.to_owned(), toml::Value::from(0.))));
    }
    table
}

/// Puts assignments over a table one by one, so that a wrong one is named.
fn assign<T: DeserializeOwned>(mut table: Table, set: &[String]) -> Result<T> {
    for assignment in set {
        merge_assignment(&mut table, assignment)
            .and_then(|()| typed::<T>(&table))
            .map_err(|e| input(format!("--set {assignment}: {e}")))?;
    }
    typed(&table).map_err(|e| input(format!("configuration: {e}")))
}

/// What a table of all keys states.
fn typed<T: DeserializeOwned>(table: &Table) -> merge::Result<T> {
    table.clone().try_into().map_err(|e: toml::de::Error| e.to_string().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> Result<Config> {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        Config::resolve("quick", None, &values)
    }

    proptest::proptest! {
        #[test]
        fn numbers_of_a_manifest_come_back_with_all_their_bits(rate in 1e-9f64..1.) {
            let mut config = set(&[]).unwrap();
            config.train.trainer.learning_rate = rate;
            let text = serde_json::to_string(&config).unwrap();
            let back: Config = serde_json::from_str(&text).unwrap();
            proptest::prop_assert_eq!(back.train.trainer.learning_rate.to_bits(), rate.to_bits());
        }

        // PROPTEST_CASES says how many.
        #[test]
        fn no_text_of_a_configuration_panics(
            at in 0f64..1.,
            gone in 0usize..40,
            put in concat!(
                "([a-z_.=\\[\\]{}\"# \n0-9eE+-]{0,24}|\\PC{0,8}|[0-9]{1,40}|",
                "(nan|inf|-1e400|\\[\\[))"
            ),
            twice: bool,
        ) {
            let mut text: Vec<char> = PROFILES[0].1.chars().collect();
            let at = (at * text.len() as f64) as usize;
            let end = (at + gone).min(text.len());
            let copy = if twice { text[at..end].to_vec() } else { vec![] };
            text.splice(at..end, put.chars().chain(copy));
            let mut table = profile_table("quick").unwrap();
            if merge_text(&mut table, &text.into_iter().collect::<String>()).is_ok() {
                let _ = assign::<Config>(table, &[]).map(|config| config.check());
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

    /// A key that files leave out at its default, and that `keys` forgets, would be missing in the
    /// identity of a run.
    #[test]
    fn all_keys_of_quick_are_known() {
        let table = profile_table("quick").unwrap();
        let section = |(name, keys): (&String, &toml::Value)| {
            let keys = keys.as_table().unwrap().keys();
            keys.map(|key| format!("{name}.{key}")).collect::<Vec<_>>()
        };
        let mut stated: Vec<String> = table.iter().flat_map(section).collect();
        let known = set(&["train.mask_decay=0", "train.drop_correlated=0", "train.sleep=0"]);
        let known = known.unwrap().keys().unwrap();
        let mut known: Vec<String> = known.into_iter().map(|(key, _)| key).collect();
        // Of CelebA it is always 40.
        stated.push("model.attributes".into());
        stated.sort();
        known.sort();
        assert_eq!(known, stated);
    }

    #[test]
    fn profiles_state_what_differs_from_quick() {
        let small = Config::resolve("small", None, &[]).unwrap();
        let quick = set(&[]).unwrap();
        assert_eq!((small.train.trainer.epochs, quick.train.trainer.epochs), (30, 18));
        assert_eq!(small.transform.curves, quick.transform.curves);
    }

    /// Those of the paper's network are not for others, unless someone asks for them.
    #[test]
    fn profiles_train_other_networks_without_options() {
        let of = |set: &[&str]| {
            let set: Vec<String> = set.iter().map(|&each| each.into()).collect();
            Config::resolve("small", None, &set)
        };
        assert_eq!(of(&[]).unwrap().train.trainer.drop_correlated, 0.8);
        let moon = of(&["system.name=moon"]).unwrap();
        assert!(moon.train.trainer.options().iter().all(|(_, value)| *value == 0.));
        let asked = of(&["system.name=moon", "train.drop_correlated=0.8"]).unwrap_err();
        assert!(format!("{asked:#}").contains("0 with system.name=moon"), "{asked:#}");
        // Nor does a network without masks know the decay of masks.
        assert_eq!(set(&[]).unwrap().train.trainer.mask_decay, 2.);
        let plain = set(&["model.attention=false"]).unwrap();
        assert_eq!(plain.train.trainer.mask_decay, 0.);
        let asked = set(&["model.attention=false", "train.mask_decay=1"]).unwrap_err();
        assert!(format!("{asked:#}").contains("0 without masks"), "{asked:#}");
    }

    #[test]
    fn set_changes_one_key() {
        let config = set(&[
            "train.epochs=9",
            "train.lambda=0",
            "model.readout=mean",
            "transform.curves=['identity', 'power n=4.5 beta=0']",
        ])
        .unwrap();
        assert_eq!(config.train.trainer.epochs, 9);
        assert_eq!(config.train.trainer.lambda, 0.);
        assert_eq!(config.model.readout, Readout::Mean);
        let curves: Vec<String> = config.transform.curves.iter().map(ToString::to_string).collect();
        assert_eq!(curves, ["identity", "power n=4.5 beta=0"]);
    }

    #[test]
    fn settings_of_0_are_keys_too() {
        let value = |config: &Config, wanted: &str| {
            let keys = config.keys().unwrap();
            keys.into_iter().find(|(key, _)| key == wanted).map(|(_, value)| value)
        };
        let quick = set(&[]).unwrap();
        assert_eq!(value(&quick, "train.average").as_deref(), Some("0.0"));
        assert_eq!(value(&quick, "train.sleep").as_deref(), Some("0.03"));
        let paper = Config::resolve("paper", None, &[]).unwrap();
        assert_eq!(value(&paper, "train.sleep").as_deref(), Some("0.0"));
    }

    #[test]
    fn attributes_are_written_as_celeba_does() {
        let config = set(&["measure.attributes=['smiling', 'black hair']"]).unwrap();
        assert_eq!(config.measure.attributes, ["Smiling", "Black_Hair"]);
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_key_and_range() {
        let refused = |value: &str, expected: &str| {
            let message = format!("{:#}", set(&[value]).unwrap_err());
            assert!(message.contains(expected), "{value}: {message}");
        };
        refused("train.epoch=9", "there is no key `train.epoch`; the keys are");
        refused("train.epochs=many", "is of type string, expected integer");
        refused("train.epochs=0", "train.epochs = 0 is not possible");
        refused("train.learning_rate=-1", "train.learning_rate = -1 is not possible");
        refused("model.readout=max", "unknown variant `max`");
        refused("train=1", "`train` is a section");
        refused("epochs", "expected KEY=VALUE");
        refused("measure.attributes=['Smile']", "did you mean Smiling");
        refused("measure.attributes=['Bald', 'Bald']", "Bald is named twice");
        refused("transform.sigmas=[-1.0]", "transform.sigmas");
        refused("transform.sigmas=[0.0, 0.1, 0.1]", "transform.sigmas: 0.1 is named twice");
        refused("measure.attributes=['Smiling', 'smiling']", "smiling is named twice");
        refused("transform.curves=['gamma 2']", "power n=");
        refused("transform.curves=['identity', 'identity']", "named twice");
        let same = ["model.readout=sum", "prune.norm=readout"];
        let same = format!("{:#}", set(&same).unwrap_err());
        assert!(same.contains("gives all channels one norm"), "{same}");
        let unknown = format!("{:#}", Config::resolve("fast", None, &[]).unwrap_err());
        assert!(unknown.contains("the profiles are quick, small, paper, smoke"), "{unknown}");
    }
}
