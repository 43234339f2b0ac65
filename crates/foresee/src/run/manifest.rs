//! `manifest.json`: what a run is made from, and what each stage made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use foresee_celeba::{SplitRule, synthetic};
use foresee_files::write_atomic;
use foresee_model::ModelCard;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Stage;
use crate::arithmetic::Arithmetic;
use crate::config::Config;
use crate::error::{Result, input};
use crate::hash::sha256;
use crate::program::program;
use crate::seen::Seen;

/// The file's name in a run's folder, and in one of results of an ONNX network, so that other
/// commands leave it alone.
pub(crate) const FILE: &str = "manifest.json";

/// The version of this form. It grows when a manifest of before can no longer be read.
const FORM: u32 = 2;

/// What a run is made from, and what each of its stages made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the manifest's form.
    form: u32,
    /// The program that began the run.
    #[serde(flatten)]
    pub program: Program,
    /// The faces.
    pub data: DataRecord,
    /// The settings.
    pub config: Config,
    /// Decides everything that is random.
    pub seed: u64,
    /// The device that the network was trained on: cpu, cuda or metal.
    pub device: String,
    /// How the processor that began the run adds up; runs of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) arithmetic: Option<Arithmetic>,
    /// Where the network comes from, if the stage `train` did not make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model_file: Option<ModelFile>,
    /// The stages that are done.
    pub stages: BTreeMap<Stage, StageRecord>,
}

/// A file that a network was read from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelFile {
    pub path: PathBuf,
    /// What its card says, on one line.
    pub trained_on: String,
    /// What was left out of its heads, if anything was.
    pub compaction: Option<String>,
    /// Whether the network was trained on the test faces of the run.
    #[serde(default)]
    pub seen: Seen,
}

impl ModelFile {
    pub fn new(path: &Path, card: &ModelCard, seen: Seen) -> Self {
        Self {
            path: path.into(),
            // A file can say anything.
            trained_on: card.trained_on.replace(char::is_control, "\u{FFFD}"),
            compaction: card.compaction(),
            seen,
        }
    }

    /// The file, and what its network was trained on.
    pub fn description(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().display();
        format!("the network of {name}, which was trained on {}", self.trained_on)
    }
}

/// The program that made something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Its version.
    pub foresee: String,
    /// The commit that it was built from.
    pub git_commit: String,
    /// SHA-256 of the `Cargo.lock` that it was built with.
    pub cargo_lock_sha256: String,
}

impl Program {
    /// The one that runs.
    pub(crate) fn this() -> Self {
        Self {
            foresee: env!("CARGO_PKG_VERSION").into(),
            git_commit: env!("FORESEE_COMMIT").into(),
            cargo_lock_sha256: sha256(include_bytes!(env!("FORESEE_LOCK"))),
        }
    }
}

/// What a stage was made from, what it made, and what that took over all sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageRecord {
    /// The version of the stage's outputs.
    pub format: u32,
    /// SHA-256 of its settings and of the files that it read.
    pub inputs_sha256: String,
    /// SHA-256 of each file that it made.
    pub outputs: BTreeMap<String, String>,
    /// Seconds.
    pub wall_seconds: f64,
    /// Bytes, where the system tells them.
    pub peak_memory_bytes: Option<u64>,
    /// Joules that the machine's processors took, where the system tells them and the stage was
    /// done in one session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_joules: Option<f64>,
}

/// The faces of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataRecord {
    /// The folder or archive.
    pub path: PathBuf,
    /// Whether they were drawn by this program.
    pub synthetic: bool,
    /// SHA-256 of the annotations and of the sizes of all images.
    pub sha256: String,
    /// How many.
    pub faces: usize,
    /// Of them in the training split.
    pub train: usize,
    /// Of them in the validation split.
    pub val: usize,
    /// Of them in the test split.
    pub test: usize,
    /// A list of splits of the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splits: Option<PathBuf>,
    /// Images that could not be read and belong to no split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Where resized images are cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
}

/// The kind of faces in one word, for data files.
pub(crate) fn kind_of_faces(synthetic: bool) -> &'static str {
    if synthetic { "synthetic" } else { "celeba" }
}

impl DataRecord {
    /// Of synthetic faces that are still to be drawn into a folder.
    pub(crate) fn to_draw(path: PathBuf, count: usize, rule: SplitRule) -> Self {
        let [train, val, test] = synthetic::split_sizes(count);
        let (train, val) = match rule {
            SplitRule::Official => (train, val),
            SplitRule::Paper => (train + val, 0),
        };
        Self {
            path,
            synthetic: true,
            sha256: String::new(),
            faces: count,
            train,
            val,
            test,
            splits: None,
            left_out: vec![],
            cache: None,
        }
    }

    /// The kind of faces in one word, for data files.
    pub fn kind(&self) -> &'static str {
        kind_of_faces(self.synthetic)
    }

    /// The kind of faces in words, for figures and tables.
    pub fn title(&self) -> &'static str {
        if self.synthetic { "synthetic faces, not CelebA" } else { "CelebA faces" }
    }

    /// Number, kind and splits.
    pub fn description(&self) -> String {
        self.described(self.title())
    }

    /// The same for a [`Source`](foresee_report::Source), whose note says itself that faces are
    /// synthetic.
    pub fn noted(&self) -> String {
        self.described(if self.synthetic { "faces" } else { self.title() })
    }

    fn described(&self, kind: &str) -> String {
        let Self { faces, train, val, test, .. } = self;
        let others = match faces.saturating_sub(train + val + test) {
            0 => String::new(),
            others => format!(", {others} in no split"),
        };
        format!("{faces} {kind} ({train} train, {val} val, {test} test{others})")
    }
}

impl Manifest {
    /// The manifest of a run that has no stage yet.
    pub(crate) fn new(config: Config, seed: u64, device: &str, data: DataRecord) -> Self {
        Self {
            form: FORM,
            program: Program::this(),
            data,
            config,
            seed,
            device: device.into(),
            arithmetic: Some(Arithmetic::of_this_processor()),
            model_file: None,
            stages: BTreeMap::new(),
        }
    }

    /// Says so if the processor that began the run adds up in another way: what is computed here
    /// has other last digits than there.
    pub(crate) fn warn_of_other_arithmetic(&self) {
        let here = Arithmetic::of_this_processor();
        if let Some(there) = self.arithmetic.as_ref().filter(|there| **there != here) {
            tracing::warn!(
                "this run was begun on a processor that adds up in another order ({there}; here \
                 {here}): what this processor computes differs in the last digits from what one \
                 machine would compute"
            );
        }
    }

    /// Whether a folder holds a run.
    pub(crate) fn exists(folder: &Path) -> bool {
        folder.join(FILE).exists()
    }

    /// Whether that manifest is ours, of whatever version: other programs write files of this name,
    /// too.
    pub(crate) fn is_of_a_run(folder: &Path) -> bool {
        has(folder, &["foresee", "stages"])
    }

    /// Whether it is of results of an ONNX network, which are kept like a run's.
    pub(crate) fn is_of_a_network(folder: &Path) -> bool {
        has(folder, &["foresee", "stages", "network"])
    }

    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|e| {
            let (path, folder, program) = (path.display(), folder.display(), program());
            input(format!(
                "{path}: {e}; a run folder is made by `{program} reproduce --out {folder}`"
            ))
        })?;
        Self::parse(&text).map_err(|reason| {
            input(format!("{} {reason}; name another folder with --out", path.display()))
        })
    }

    /// A manifest from its text, or why it is none.
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let damaged = |e: serde_json::Error| format!("is damaged: {e}");
        let value: Value = serde_json::from_str(text).map_err(damaged)?;
        if value.get("network").is_some() {
            return Err("is of what was done with an ONNX network (--model), and of no run".into());
        }
        match value.get("form").map_or(1, |form| form.as_u64().unwrap_or(0)) {
            form if form == u64::from(FORM) => serde_json::from_value(value).map_err(damaged),
            form => Err(format!(
                "is of form {form}, this program reads form {FORM}: another version of Foresee \
                 made this run"
            )),
        }
    }

    /// The manifest of a folder, or why it cannot be read, for a list of whatever is there.
    pub(crate) fn look(folder: &Path) -> std::result::Result<Self, String> {
        let text =
            std::fs::read_to_string(folder.join(FILE)).map_err(|e| format!("{FILE}: {e}"))?;
        let is_json = serde_json::from_str::<Value>(&text).is_ok();
        if is_json && !Self::is_of_a_run(folder) {
            return Err(format!("{FILE} is of another program"));
        }
        Self::parse(&text).map_err(|reason| format!("{FILE} {reason}"))
    }

    /// When the manifest of a folder was last written.
    pub(crate) fn written(folder: &Path) -> Option<SystemTime> {
        std::fs::metadata(folder.join(FILE)).ok()?.modified().ok()
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(write_atomic(&folder.join(FILE), text.as_bytes())?)
    }

    /// What makes another run of this one, in words.
    pub(crate) fn differences(&self, other: &Self) -> Result<Vec<String>> {
        let held = self.identity()?;
        let asked = other.identity()?;
        let absent = "nothing".to_owned();
        let keys = held.keys().chain(asked.keys().filter(|key| !held.contains_key(*key)));
        let different = keys.filter(|&key| held.get(key) != asked.get(key)).map(|key| {
            let there = held.get(key).unwrap_or(&absent);
            let here = asked.get(key).unwrap_or(&absent);
            format!("{key} is {there} there, {here} here")
        });
        Ok(different.collect())
    }

    /// What decides a run, as `section.key` and value.
    fn identity(&self) -> Result<BTreeMap<String, String>> {
        let mut flat = BTreeMap::from([
            ("data.sha256".to_owned(), self.data.sha256.clone()),
            ("device".to_owned(), self.device.clone()),
            ("seed".to_owned(), self.seed.to_string()),
        ]);
        flat.extend(self.config.identity()?);
        Ok(flat)
    }
}

/// Whether the manifest of a folder has these fields.
fn has(folder: &Path, fields: &[&str]) -> bool {
    let text = std::fs::read(folder.join(FILE)).unwrap_or_default();
    let value: Option<Value> = serde_json::from_slice(&text).ok();
    value.is_some_and(|value| fields.iter().all(|field| value.get(field).is_some()))
}
