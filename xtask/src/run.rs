//! A run is a folder: its manifest, its stages, and which of them are up to date.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use foresee_celeba::synthetic;
use foresee_report::frame::{self, DataFrame, write_whole};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::error::{OtherRun, input};
use crate::faces::{BAD_IMAGES, DataRecord};
use crate::lock::{LOCK, Lock};
use crate::memory::{peak_memory, reset_peak_memory};
use crate::train::checkpoints;

/// The column of every CSV file that says what kind of faces its numbers come from.
const MARK: &str = "data";

/// `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub foresee: String,
    pub git_commit: String,
    pub cargo_lock_sha256: String,
    pub data: DataRecord,
    pub config: Config,
    pub seed: u64,
    pub device: String,
    pub stages: BTreeMap<String, StageRecord>,
}

/// What a stage was made from, what it made and what it took, over all sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageRecord {
    pub inputs_sha256: String,
    pub outputs: BTreeMap<String, String>,
    pub wall_seconds: f64,
    pub peak_memory_bytes: Option<u64>,
}

pub struct Run {
    pub folder: PathBuf,
    pub manifest: Manifest,
    /// Of a run that is only read there is none.
    _lock: Option<Lock>,
}

impl Run {
    /// Begins a run in a folder, or goes on in one that holds the same run.
    pub fn begin(
        lock: Lock,
        folder: &Path,
        config: Config,
        seed: u64,
        device: &str,
        data: DataRecord,
    ) -> Result<Self> {
        let fresh = Manifest {
            foresee: env!("CARGO_PKG_VERSION").into(),
            git_commit: git_commit(),
            cargo_lock_sha256: sha256(include_bytes!("../../Cargo.lock")),
            data,
            config,
            seed,
            device: device.into(),
            stages: BTreeMap::new(),
        };
        if folder.join("manifest.json").exists() {
            let mut run = Self { _lock: Some(lock), ..Self::open(folder)? };
            let differences = differences(&run.manifest, &fresh)?;
            if differences.is_empty() {
                let (old, new) = (&run.manifest.git_commit, &fresh.git_commit);
                if old != new {
                    tracing::warn!(
                        "this run was begun by commit {old}, this program is {new}: finished stages are not done again"
                    );
                }
                // The folder of faces may have moved.
                run.manifest.data = fresh.data;
                return Ok(run);
            }
            if run.manifest.stages.is_empty() {
                // Nothing was finished: what was begun with other settings or faces is given up.
                tracing::warn!(
                    "starting afresh in {}: {}",
                    folder.display(),
                    differences.join("; ")
                );
                checkpoints::remove(&run);
                run.manifest = fresh;
                run.save()?;
                return Ok(run);
            }
            return Err(OtherRun(format!(
                "{} holds another run: {}",
                folder.display(),
                differences.join("; ")
            ))
            .into());
        }
        Self::check_is_free(folder)?;
        let run = Self { folder: folder.into(), manifest: fresh, _lock: Some(lock) };
        run.save()?;
        Ok(run)
    }

    /// Makes sure that faces may be drawn into a folder: it is free, or holds a run on drawn faces.
    pub fn check_for_drawing(folder: &Path) -> Result<()> {
        if !folder.join("manifest.json").exists() {
            return Self::check_is_free(folder);
        }
        match Self::open(folder)?.manifest.data.synthetic {
            true => Ok(()),
            false => Err(OtherRun(format!(
                "{} holds a run on a CelebA folder, which --celeba did not name",
                folder.display()
            ))
            .into()),
        }
    }

    /// Makes sure that a new run may begin in a folder.
    pub fn check_is_free(folder: &Path) -> Result<()> {
        // Drawn faces lie there before the manifest does, and an interrupted drawing leaves a
        // hidden folder.
        let unfinished =
            |name: &str| name.starts_with(synthetic::UNFINISHED) || name.starts_with(".tmp");
        let own = |name: &std::ffi::OsStr| {
            ["faces", BAD_IMAGES, LOCK].iter().any(|own| name == *own)
                || unfinished(&name.to_string_lossy())
        };
        let alien = std::fs::read_dir(folder)
            .ok()
            .and_then(|mut entries| entries.find_map(|e| e.ok().filter(|e| !own(&e.file_name()))));
        if let Some(entry) = alien {
            let name = entry.file_name();
            return Err(input(format!(
                "{} is not empty ({}) and holds no run; name a new folder with --out",
                folder.display(),
                name.display()
            )));
        }
        Ok(())
    }

    /// Opens a run folder to work in it.
    pub fn take(folder: &Path) -> Result<Self> {
        // A folder that holds no run gets no lock; what it holds is read when nobody else writes in
        // it.
        Self::open(folder)?;
        let lock = Lock::take(folder)?;
        Ok(Self { _lock: Some(lock), ..Self::open(folder)? })
    }

    /// Opens a run folder to read in it.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("manifest.json");
        let text = std::fs::read_to_string(&path).map_err(|e| {
            input(format!(
                "{}: {e}; a run folder is made by `cargo xtask reproduce --out {}`",
                path.display(),
                folder.display()
            ))
        })?;
        let manifest = serde_json::from_str(&text).map_err(|e| {
            input(format!("{} is damaged: {e}; name another folder with --out", path.display()))
        })?;
        Ok(Self { folder: folder.into(), manifest, _lock: None })
    }

    fn save(&self) -> Result<()> {
        Ok(write_whole(
            &self.folder.join("manifest.json"),
            (serde_json::to_string_pretty(&self.manifest)? + "\n").as_bytes(),
        )?)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a frame to a file of the run. Its last column, `data`, says what kind of faces the
    /// numbers come from.
    pub fn write_csv(&self, file: &str, mut frame: DataFrame) -> Result<()> {
        let rows = frame.height();
        frame.with_column(frame::column(MARK, vec![self.manifest.data.kind(); rows]))?;
        Ok(frame::write_csv(&self.path(file), frame)?)
    }

    /// Reads what [`write_csv`](Self::write_csv) wrote, without the mark.
    pub fn read_csv(&self, file: &str) -> Result<DataFrame> {
        Ok(frame::read_csv(&self.path(file))?.drop_many([MARK]))
    }

    /// Runs a stage, unless it ran already on the same inputs and its outputs are untouched.
    /// `inputs` describes what the stage depends on besides the files `reads`, which earlier stages
    /// made; `work` returns the files that it made, relative to the folder.
    pub fn stage(
        &mut self,
        name: &str,
        inputs: &impl Serialize,
        reads: &[&str],
        work: impl FnOnce(&Self) -> Result<Vec<String>>,
    ) -> Result<()> {
        let key = self.key(name, inputs, reads)?;
        if self
            .manifest
            .stages
            .get(name)
            .is_some_and(|record| record.inputs_sha256 == key && self.untouched(record))
        {
            tracing::info!("{name}: up to date");
            return Ok(());
        }
        reset_peak_memory();
        // What an interrupted training took before.
        let (start, earlier) = (Instant::now(), checkpoints::seconds(self));
        let made = work(self).with_context(|| format!("stage {name}"))?;
        let outputs = made
            .into_iter()
            .map(|file| Ok((file.clone(), file_sha256(&self.path(&file))?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let wall_seconds = earlier + start.elapsed().as_secs_f64();
        let record = StageRecord {
            inputs_sha256: key,
            outputs,
            wall_seconds,
            peak_memory_bytes: peak_memory(),
        };
        let memory = record
            .peak_memory_bytes
            .map_or(String::new(), |b| format!(", peak memory {:.2} GB", b as f64 / 1e9));
        tracing::info!("{name}: done in {:.0} s{memory}", record.wall_seconds);
        self.manifest.stages.insert(name.into(), record);
        self.save()
    }

    fn key(&self, name: &str, inputs: &impl Serialize, reads: &[&str]) -> Result<String> {
        let files =
            reads.iter().map(|file| file_sha256(&self.path(file))).collect::<Result<Vec<_>>>();
        let files = files.map_err(|e| input(format!("stage {name} needs files of an earlier stage: {e:#}; run `cargo xtask reproduce` first")))?;
        Ok(sha256(&serde_json::to_vec(&(name, env!("CARGO_PKG_VERSION"), inputs, files))?))
    }

    fn untouched(&self, record: &StageRecord) -> bool {
        record
            .outputs
            .iter()
            .all(|(file, hash)| file_sha256(&self.path(file)).is_ok_and(|now| now == *hash))
    }
}

/// What makes two runs different, in words.
fn differences(old: &Manifest, new: &Manifest) -> Result<Vec<String>> {
    let flat = |m: &Manifest| -> Result<BTreeMap<String, String>> {
        let mut out = BTreeMap::new();
        let value = serde_json::json!({"config": m.config, "seed": m.seed, "device": m.device, "data": m.data.sha256});
        flatten("", &value, &mut out);
        Ok(out)
    };
    let (old, new) = (flat(old)?, flat(new)?);
    // A setting that is not written has its default.
    let value = |of: &BTreeMap<String, String>, key: &String| {
        of.get(key).cloned().unwrap_or("the default".into())
    };
    let told =
        |key: &String| format!("{key} is {} there, {} here", value(&old, key), value(&new, key));
    Ok(old
        .keys()
        .chain(new.keys().filter(|key| !old.contains_key(*key)))
        .filter(|&key| old.get(key) != new.get(key))
        .map(told)
        .collect())
}

fn flatten(path: &str, value: &serde_json::Value, out: &mut BTreeMap<String, String>) {
    match value {
        serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{}.{key}", path.trim_start_matches("config."))
            };
            flatten(&path, value, out);
        }),
        other => {
            out.insert(path.trim_start_matches("config.").into(), other.to_string());
        }
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

pub fn file_sha256(path: &Path) -> Result<String> {
    Ok(sha256(&std::fs::read(path).with_context(|| format!("reading {}", path.display()))?))
}

/// The commit of the checkout this was built from, if git is at hand.
fn git_commit() -> String {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .arg("-C")
            .arg(env!("CARGO_MANIFEST_DIR"))
            .args(arguments)
            .output()
            .ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match (git(&["rev-parse", "HEAD"]), git(&["status", "--porcelain"])) {
        (Some(commit), Some(changes)) if changes.is_empty() => commit,
        (Some(commit), _) => format!("{commit} with uncommitted changes"),
        _ => "unknown".into(),
    }
}
