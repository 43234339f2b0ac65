//! The manifest of a folder of results: what they are made from, and what each part of them made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use foresee_files::write_atomic;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Result;
use crate::hash::sha256;
use crate::run::StageRecord;

/// The file's name. A run's has the same, so that other commands leave the folder alone.
pub(super) const FILE: &str = "manifest.json";
/// The version of this form. It grows when a manifest of before can no longer be read.
const FORM: u32 = 2;

/// What the results in a folder are made from, and what each of their parts made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    form: u32,
    /// The version of the program that began it, and the commit that it was built from.
    foresee: String,
    git_commit: String,
    cargo_lock_sha256: String,
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
    /// SHA-256 of the file.
    pub sha256: String,
    /// SHA-256 of all weights, also of those in other files.
    pub weights_sha256: String,
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
        Self {
            form: FORM,
            foresee: env!("CARGO_PKG_VERSION").into(),
            git_commit: env!("FORESEE_COMMIT").into(),
            cargo_lock_sha256: sha256(include_bytes!(env!("FORESEE_LOCK"))),
            network,
            stages: BTreeMap::new(),
        }
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
