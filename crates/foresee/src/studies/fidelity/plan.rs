//! The list of a study's runs.

use std::path::Path;

use foresee_data::STUDIES;
use serde::Deserialize;

use crate::config::Config;
use crate::error::{Result, input};

/// A study: variants of a profile, each run with several seeds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Study {
    profile: String,
    #[serde(default)]
    set: Vec<String>,
    /// Whether the paper's claims are tested; without, the variants are only compared.
    #[serde(default = "yes")]
    pub claims: bool,
    #[serde(rename = "variant")]
    pub variants: Vec<Variant>,
}

fn yes() -> bool {
    true
}

/// One kind of run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variant {
    pub name: String,
    /// On drawn faces instead of the study's.
    #[serde(default)]
    pub synthetic: bool,
    #[serde(default)]
    set: Vec<String>,
}

impl Study {
    /// An embedded study by its name, or one of the user's own by its file.
    pub fn read(study: &str) -> Result<Self> {
        let embedded = STUDIES.iter().find(|(name, _)| *name == study);
        let text = match embedded {
            Some((_, text)) => (*text).to_owned(),
            None => std::fs::read_to_string(study).map_err(|e| unknown(study, &e))?,
        };
        let study: Self = toml::from_str(&text)
            .map_err(|e| input(format!("study {study}: {}", e.to_string().trim())))?;
        study.check_names()?;
        Ok(study)
    }

    fn check_names(&self) -> Result<()> {
        for (i, Variant { name, .. }) in self.variants.iter().enumerate() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let usable = !name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain);
            if !usable || self.variants[..i].iter().any(|other| other.name == *name) {
                return Err(input(format!(
                    "study: the variant's name `{name}` must be its own, of letters, digits, -, _ \
                     and ., which is not the first"
                )));
            }
        }
        Ok(())
    }

    /// The settings of each variant, with more assignments put over them.
    pub fn configs(&self, over: &[String]) -> Result<Vec<Config>> {
        self.variants.iter().map(|variant| self.config(variant, over)).collect()
    }

    /// The settings of a variant's runs, with more assignments put over them.
    fn config(&self, variant: &Variant, over: &[String]) -> Result<Config> {
        let set: Vec<String> = self.set.iter().chain(&variant.set).chain(over).cloned().collect();
        Config::resolve(&self.profile, None, &set)
            .map_err(|e| input(format!("study, variant {}: {e:#}", variant.name)))
    }
}

fn unknown(study: &str, e: &std::io::Error) -> anyhow::Error {
    let names = STUDIES.map(|(name, _)| name).join(", ");
    let path = Path::new(study).display();
    input(format!("study {path}: {e}; name a file or one of {names}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_study_resolves() -> Result<()> {
        for (name, _) in STUDIES {
            let study = Study::read(name)?;
            for variant in &study.variants {
                study.config(variant, &[])?;
            }
        }
        Ok(())
    }

    #[test]
    fn an_unknown_study_is_refused_with_those_that_exist() {
        let refusal = Study::read("nothing").map(|_| ()).expect_err("no such study").to_string();
        assert!(
            refusal.contains("fidelity, trained, architecture, map, promise, forecasts, accuracy"),
            "{refusal}"
        );
    }
}
