//! The file in which a study stands. It can be preregistered.

use std::path::{Path, PathBuf};

use anyhow::Context;
use foresee_celeba::ATTRIBUTES;
use foresee_files::write_atomic;
use foresee_people::Assignment;
use serde::{Deserialize, Serialize};

use super::choices::Choices;
use crate::error::{Result, input};
use crate::hash::sha256;

/// The version of the file's form.
pub(super) const FORM: u32 = 1;

/// A study as it was designed and drawn: `design.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Design {
    pub(super) form: u32,
    /// What the network was trained on.
    pub(super) data: String,
    /// Whether its faces are drawn.
    pub(super) synthetic: bool,
    /// The network's file.
    pub(super) model_sha256: String,
    /// Of its materials: data/items.csv and data/pictures.csv.
    pub(super) materials_sha256: Vec<String>,
    /// Its channels.
    pub(super) channels: usize,
    /// Attributes that are asked for.
    pub(super) asked_attributes: Vec<String>,
    /// Numbers of the test faces.
    pub(super) test_faces: Vec<usize>,
    /// Numbers of the test faces for practice.
    pub(super) practice_faces: Vec<usize>,
    /// What was chosen.
    pub(super) choices: Choices,
}

const HEAD: &str = "\
# A forward simulation study, made by `foresee study new`. Everything that decides who sees what,
# who is left out and what is compared is in this file and in data/: it can be preregistered as it
# is.
# Until the first person has agreed to take part, texts and all else that does not decide what
# people are shown may be edited; for other arms, faces, attributes or operations make a new study.

";

impl Design {
    /// The file's name in the study's folder.
    pub(super) const FILE: &'static str = "design.toml";

    pub(super) fn path(study: &Path) -> PathBuf {
        study.join(Self::FILE)
    }

    /// Reads the design of the study in a folder, and its hash.
    ///
    /// # Errors
    /// If there is none, or it is not in this program's form.
    pub fn read(study: &Path) -> Result<(Self, String)> {
        let path = Self::path(study);
        let text = std::fs::read_to_string(&path).map_err(|e| {
            input(format!("{} has no study ({e}); make one with `study new`", study.display()))
        })?;
        let shown = path.display();
        let design: Self =
            toml::from_str(&text).map_err(|e| input(format!("{shown} cannot be read: {e}")))?;
        if design.form != FORM {
            let form = design.form;
            return Err(input(format!("{shown} has form {form}; this program reads form {FORM}")));
        }
        let faces = design.test_faces.len();
        if faces != design.choices.faces || design.practice_faces.len() != design.choices.practice {
            return Err(input(format!("{shown}: the lists of faces are not as long as chosen")));
        }
        design.choices.check(usize::MAX)?;
        let known = |name: &String| ATTRIBUTES.contains(&name.as_str());
        let asked = &design.asked_attributes;
        if design.channels < 2 || !(2..=10).contains(&asked.len()) || !asked.iter().all(known) {
            return Err(input(format!(
                "{shown}: a network has 2 channels at least, and 2 to 10 known attributes are asked"
            )));
        }
        Ok((design, sha256(text.as_bytes())))
    }

    pub(super) fn write(&self, study: &Path) -> Result<()> {
        let text = toml::to_string_pretty(self).context("the design")?;
        Ok(write_atomic(&Self::path(study), format!("{HEAD}{text}").as_bytes())?)
    }

    /// Who sees what.
    pub(super) fn assignment(&self) -> Assignment {
        Assignment {
            arms: self.choices.arms.len(),
            faces: self.choices.faces,
            operations: self.choices.operations.len(),
            trials: self.choices.trials,
            seed: self.choices.seed,
        }
    }
}
