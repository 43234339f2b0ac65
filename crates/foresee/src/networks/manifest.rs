//! The manifest of a folder of results: what they are made from, and what each part of them made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use foresee_files::write_atomic;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Result;
pub(super) use crate::run::MANIFEST as FILE;
use crate::run::{Program, StageRecord};

/// The version of this form. It grows when a manifest of before can no longer be read.
const FORM: u32 = 3;

/// What the results in a folder are made from, and what each of their parts made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    form: u32,
    /// The program that began it.
    #[serde(flatten)]
    program: Program,
    /// The network.
    pub network: NetworkRecord,
    /// The parts that are done, by their names: `explain cat.png`, `prune conv1`.
    pub stages: BTreeMap<String, PartRecord>,
}

/// The network of a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NetworkRecord {
    /// The ONNX file.
    pub path: PathBuf,
    /// SHA-256 of the file; if other files beside it hold weights, of the hashes of all.
    pub sha256: String,
}

/// What a part was made from, what it made, and what that took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    /// Settings and hashes of inputs.
    pub made_from: Value,
    /// Its files and what they took.
    #[serde(flatten)]
    pub record: StageRecord,
}

impl Manifest {
    pub fn new(network: NetworkRecord) -> Self {
        Self { form: FORM, program: Program::this(), network, stages: BTreeMap::new() }
    }

    /// A manifest from its text, or why it is none.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let damaged = |e: serde_json::Error| format!("{FILE} is damaged: {e}");
        let value: Value = serde_json::from_str(text).map_err(damaged)?;
        if value.get("network").is_none() {
            return Err(format!(
                "its {FILE} is not of `explain`, `prune`, `transform` or `predict` with --model; \
                 name another folder"
            ));
        }
        match value.get("form").and_then(Value::as_u64) {
            Some(form) if form == u64::from(FORM) => serde_json::from_value(value).map_err(damaged),
            _ => Err(format!("its {FILE} is of another version of Foresee; name another folder")),
        }
    }

    /// Writes it into a folder.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(write_atomic(&folder.join(FILE), text.as_bytes())?)
    }
}
