//! The folder of a network's results: its manifest, and which parts are up to date.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use foresee_files::write_atomic;
use foresee_report::{Record, frame};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Result, input};
use crate::hash::{file_sha256, sha256};
use crate::memory::{peak_memory, reset_peak_memory};
use crate::run::{Lock, Run, StageRecord, is_untouched};

/// The file's name. A run's has the same, so that other commands leave the folder alone.
const FILE: &str = "manifest.json";
/// The version of this form. It grows when a manifest of before can no longer be read.
const FORM: u32 = 1;

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

/// The folder of a network's results, opened to work in it.
pub(crate) struct Folder {
    path: PathBuf,
    pub manifest: Manifest,
    _lock: Lock,
}

/// What a part is made from.
pub(crate) struct Part<'a, S> {
    /// Its name in the manifest.
    pub name: &'a str,
    /// The version of its files: it grows with every change of what is computed or how it is
    /// written.
    pub format: u32,
    /// Settings and hashes of inputs.
    pub made_from: S,
}

impl Folder {
    /// Opens the folder, or makes it. A folder of another network is refused.
    ///
    /// # Errors
    /// If it holds something else, or another process works in it.
    pub fn open(path: &Path, network: NetworkRecord) -> Result<Self> {
        let refuse = |reason: String| input(format!("--out {}: {reason}", path.display()));
        if path == Path::new("-") || (path.exists() && !path.is_dir()) {
            return Err(refuse("several files are written; name a folder".into()));
        }
        if !path.join(FILE).exists() {
            Run::check_is_free(path)?;
        }
        let lock = Lock::take(path)?;
        let manifest = match std::fs::read_to_string(path.join(FILE)) {
            Err(_) => Manifest::new(network),
            Ok(text) => {
                let mut held = Manifest::parse(&text).map_err(refuse)?;
                let same = |held: &NetworkRecord| {
                    (&held.sha256, &held.weights_sha256)
                        == (&network.sha256, &network.weights_sha256)
                };
                if !same(&held.network) {
                    return Err(refuse(format!(
                        "holds results of another network ({}); name another folder",
                        held.network.path.display()
                    )));
                }
                // The file may have moved.
                held.network = network;
                held
            }
        };
        let folder = Self { path: path.into(), manifest, _lock: lock };
        folder.write()?;
        Ok(folder)
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.manifest)? + "\n";
        Ok(write_atomic(&self.path.join(FILE), text.as_bytes())?)
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Does a part's work, unless it was done already from the same things and its files are
    /// untouched. Returns whether there was work.
    ///
    /// # Errors
    /// Those of the work.
    pub fn part(
        &mut self,
        part: &Part<'_, impl Serialize>,
        work: impl FnOnce(&mut PartFiles<'_>) -> Result<()>,
    ) -> Result<bool> {
        let made_from = serde_json::to_value(&part.made_from)?;
        let key = sha256(&serde_json::to_vec(&(part.name, part.format, &made_from))?);
        let name = part.name;
        if let Some(done) = self.manifest.stages.get(name) {
            if done.record.inputs_sha256 == key && is_untouched(&self.path, &done.record) {
                tracing::debug!("{name}: up to date");
                return Ok(false);
            }
            tracing::info!("{name}: done again, since its settings, inputs or files changed");
        }
        reset_peak_memory();
        let start = Instant::now();
        let mut files = PartFiles { folder: &self.path, names: vec![] };
        work(&mut files).with_context(|| name.to_owned())?;
        let names = files.names;
        let hashed = names.into_iter().map(|file| {
            let hash = file_sha256(&self.path(&file))?;
            Ok((file, hash))
        });
        let record = StageRecord {
            format: part.format,
            inputs_sha256: key,
            outputs: hashed.collect::<Result<_>>()?,
            wall_seconds: start.elapsed().as_secs_f64(),
            peak_memory_bytes: peak_memory(),
        };
        let earlier = self.manifest.stages.insert(name.into(), PartRecord { made_from, record });
        self.write()?;
        self.remove_files_without_part(earlier);
        Ok(true)
    }

    /// Forgets parts whose names begin so, but those that are still wanted, and removes their
    /// files.
    ///
    /// # Errors
    /// If the manifest cannot be written.
    pub fn keep(&mut self, start: &str, wanted: &[String]) -> Result<()> {
        let is_gone = |name: &String| name.starts_with(start) && !wanted.contains(name);
        let gone: Vec<String> =
            self.manifest.stages.keys().filter(|name| is_gone(name)).cloned().collect();
        if gone.is_empty() {
            return Ok(());
        }
        for name in gone {
            let earlier = self.manifest.stages.remove(&name);
            self.remove_files_without_part(earlier);
        }
        self.write()
    }

    fn remove_files_without_part(&self, earlier: Option<PartRecord>) {
        let files = earlier.into_iter().flat_map(|part| part.record.outputs.into_keys());
        let has = |file: &String| {
            self.manifest.stages.values().any(|part| part.record.outputs.contains_key(file))
        };
        files
            .filter(|file| !has(file))
            .for_each(|file| drop(std::fs::remove_file(self.path(&file))));
    }

    /// The files with this ending of all parts whose names begin so, in the order of the names.
    pub fn files(&self, start: &str, ending: &str) -> Vec<String> {
        let parts = self.manifest.stages.iter().filter(|(name, _)| name.starts_with(start));
        let files = parts.flat_map(|(_, part)| part.record.outputs.keys());
        files.filter(|file| file.ends_with(ending)).cloned().collect()
    }
}

/// The rows of a CSV file.
///
/// # Errors
/// If it is gone or damaged.
pub(crate) fn read_rows<R: Record>(path: &Path) -> Result<Vec<R>> {
    R::from_frame(&frame::read_csv(path)?).with_context(|| path.display().to_string())
}

impl Manifest {
    fn new(network: NetworkRecord) -> Self {
        Self {
            form: FORM,
            foresee: env!("CARGO_PKG_VERSION").into(),
            git_commit: env!("FORESEE_COMMIT").into(),
            cargo_lock_sha256: sha256(include_bytes!(env!("FORESEE_LOCK"))),
            network,
            stages: BTreeMap::new(),
        }
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
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
}

/// The files that a part makes, recorded as they are written.
pub(crate) struct PartFiles<'a> {
    folder: &'a Path,
    names: Vec<String>,
}

impl PartFiles<'_> {
    /// Writes rows as a CSV file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write<R: Record>(&mut self, file: &str, rows: &[R]) -> Result<()> {
        frame::write_csv(&self.folder.join(file), &R::to_frame(rows)?)?;
        self.add(file);
        Ok(())
    }

    /// Writes a frame as a CSV file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_frame(&mut self, file: &str, table: &foresee_report::DataFrame) -> Result<()> {
        frame::write_csv(&self.folder.join(file), table)?;
        self.add(file);
        Ok(())
    }

    /// The folder that they are in.
    pub fn folder(&self) -> &Path {
        self.folder
    }

    /// Records files that are written already.
    pub fn add_written(&mut self, paths: &[PathBuf]) {
        let own = paths.iter().filter_map(|path| path.strip_prefix(self.folder).ok());
        let own: Vec<String> = own.map(|path| path.display().to_string()).collect();
        own.iter().for_each(|file| self.add(file));
    }

    fn add(&mut self, file: &str) {
        tracing::debug!("wrote {file}");
        self.names.push(file.into());
    }
}

/// A text as part of a file's name: letters, digits, `.`, `-` and `_`, and a few digits of a hash
/// where something else was in it.
pub(crate) fn file_name(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let plain: String = text.chars().map(|c| if is_plain(c) { c } else { '_' }).take(80).collect();
    match plain == text && !text.starts_with('.') {
        true => plain,
        false => format!("{}-{}", plain.trim_start_matches('.'), &sha256(text.as_bytes())[..6]),
    }
}

#[cfg(test)]
mod tests {
    use foresee_report::record;

    use super::*;

    record! {
        #[derive(Debug, Clone, PartialEq)]
        struct Number {
            n: u64,
        }
    }

    fn network(sha256: &str) -> NetworkRecord {
        let sha256 = sha256.to_owned();
        NetworkRecord { path: "a.onnx".into(), weights_sha256: sha256.clone(), sha256 }
    }

    fn part(name: &str, n: u64) -> Part<'_, u64> {
        Part { name, format: 1, made_from: n }
    }

    #[test]
    fn what_is_done_is_not_done_again() -> Result<()> {
        let root = tempfile::tempdir()?;
        let out = root.path().join("out");
        let work =
            |n: u64| move |files: &mut PartFiles<'_>| files.write("data/n.csv", &[Number { n }]);
        let mut folder = Folder::open(&out, network("a"))?;
        assert!(folder.part(&part("prune a", 1), work(1))?);
        assert!(!folder.part(&part("prune a", 1), work(1))?);
        drop(folder);
        let mut folder = Folder::open(&out, network("a"))?;
        assert!(!folder.part(&part("prune a", 1), work(1))?);
        // Other settings, or a file that was changed.
        assert!(folder.part(&part("prune a", 2), work(2))?);
        assert_eq!(read_rows::<Number>(&out.join("data/n.csv"))?, [Number { n: 2 }]);
        std::fs::write(out.join("data/n.csv"), "n\n7\n")?;
        assert!(folder.part(&part("prune a", 2), work(2))?);
        assert_eq!(folder.files("prune", ".csv"), ["data/n.csv"]);
        folder.keep("prune ", &[])?;
        assert!(!out.join("data/n.csv").exists() && folder.files("prune", ".csv").is_empty());
        Ok(())
    }

    #[test]
    fn folders_of_others_are_refused() -> Result<()> {
        let root = tempfile::tempdir()?;
        let refused = |path: &Path, of: &str| match Folder::open(path, network(of)) {
            Ok(_) => String::new(),
            Err(e) => e.to_string(),
        };
        let out = root.path().join("out");
        drop(Folder::open(&out, network("a"))?);
        assert!(refused(&out, "b").contains("another network (a.onnx)"));
        std::fs::write(out.join(FILE), "{\"foresee\": \"0.1.0\", \"stages\": {}, \"form\": 2}")?;
        assert!(refused(&out, "a").contains("name another folder"));
        std::fs::write(out.join(FILE), "{")?;
        assert!(refused(&out, "a").contains("damaged"));
        std::fs::write(root.path().join("notes.txt"), "mine")?;
        assert!(refused(root.path(), "a").contains("is not empty"));
        assert!(refused(&root.path().join("notes.txt"), "a").contains("name a folder"));
        Ok(())
    }

    #[test]
    fn names_become_file_names() {
        assert_eq!(file_name("conv1.weight-2"), "conv1.weight-2");
        let slash = file_name("/layer1/conv");
        assert!(slash.starts_with("_layer1_conv-") && slash.len() == "_layer1_conv-".len() + 6);
        assert_ne!(file_name("a/b"), file_name("a_b"));
        assert!(!file_name("..").contains("..") && file_name(&"x".repeat(300)).len() < 100);
    }
}
