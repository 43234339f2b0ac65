//! The folder of a network's results, and which parts of them are up to date.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use foresee_files::place_of;
use foresee_report::{DataFrame, Record, frame};
use serde::Serialize;

use super::manifest::{FILE, Manifest, NetworkRecord, PartRecord};
use crate::error::{Result, input};
use crate::hash::sha256;
use crate::memory::reset_peak_memory;
use crate::run::{self, Lock, Run, is_untouched, record, remove_unmade};

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

impl<S: Serialize> Part<'_, S> {
    /// A hash of all that its files are made from.
    fn key(&self) -> Result<String> {
        Ok(sha256(&serde_json::to_vec(&(self.name, self.format, &self.made_from))?))
    }
}

impl Folder {
    /// Opens the folder, or makes it. A folder of another network is refused.
    ///
    /// # Errors
    /// If it holds something else, lies inside of a run, or another process works in it.
    pub fn open(path: &Path, network: NetworkRecord) -> Result<Self> {
        let refuse = |reason: String| input(format!("--out {}: {reason}", path.display()));
        if path == Path::new("-") || (path.exists() && !path.is_dir()) {
            return Err(refuse("several files are written; name a folder".into()));
        }
        let place = place_of(path).map_err(|e| refuse(e.to_string()))?;
        if let Some(owner) = run::owner(&place) {
            let owner = run::described(owner);
            return Err(refuse(format!("it belongs to {owner}; name another folder")));
        }
        let held = || match std::fs::read_to_string(path.join(FILE)) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(refuse(format!("its {FILE} cannot be read: {e}; name another folder"))),
            Ok(text) => Manifest::parse(&text).map(Some).map_err(refuse),
        };
        // A folder of others gets no lock. The manifest is read again under the lock.
        if held()?.is_none() {
            Run::check_is_free(path)?;
        }
        let lock = Lock::take(path)?;
        let manifest = match held()? {
            None => Manifest::new(network),
            Some(held) if held.network.sha256 != network.sha256 => {
                return Err(refuse(format!(
                    "holds results of another network ({}); name another folder",
                    held.network.path.display()
                )));
            }
            // The file may have moved.
            Some(mut held) => {
                held.network = network;
                held
            }
        };
        manifest.write(path)?;
        Ok(Self { path: path.into(), manifest, _lock: lock })
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether a part was done already from the same things and its files are untouched.
    ///
    /// # Errors
    /// If what it is made from cannot be written as JSON.
    pub fn is_done(&self, part: &Part<'_, impl Serialize>) -> Result<bool> {
        let key = part.key()?;
        let is_done = |done: &PartRecord| {
            done.record.inputs_sha256 == key && is_untouched(&self.path, &done.record)
        };
        Ok(self.manifest.stages.get(part.name).is_some_and(is_done))
    }

    /// Does a part's work, unless it [is done](Self::is_done).
    ///
    /// # Errors
    /// Those of the work.
    pub fn part(
        &mut self,
        part: &Part<'_, impl Serialize>,
        work: impl FnOnce(&mut PartFiles<'_>) -> Result<()>,
    ) -> Result<()> {
        let name = part.name;
        if self.is_done(part)? {
            tracing::debug!("{name}: up to date");
            return Ok(());
        }
        if self.manifest.stages.contains_key(name) {
            tracing::info!("{name}: done again, since its settings, inputs or files changed");
        }
        reset_peak_memory();
        let start = Instant::now();
        let mut files = PartFiles { folder: &self.path, names: vec![] };
        work(&mut files).with_context(|| name.to_owned())?;
        let record = record(&self.path, (part.format, part.key()?), files.names, start)?;
        let made_from = serde_json::to_value(&part.made_from)?;
        let earlier = self.manifest.stages.insert(name.into(), PartRecord { made_from, record });
        self.manifest.write(&self.path)?;
        if let Some(earlier) = earlier {
            let parts = || self.manifest.stages.values();
            let is_made = |file: &str| parts().any(|part| part.record.outputs.contains_key(file));
            remove_unmade(&self.path, &earlier.record, is_made);
        }
        Ok(())
    }
}

/// The rows of a CSV file.
///
/// # Errors
/// If it is gone or damaged.
pub(crate) fn read_rows<R: Record>(path: &Path) -> Result<Vec<R>> {
    R::from_frame(&frame::read_csv(path)?).with_context(|| path.display().to_string())
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
    pub fn write_frame(&mut self, file: &str, table: &DataFrame) -> Result<()> {
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
        NetworkRecord { path: "a.onnx".into(), sha256: sha256.to_owned() }
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
        let never = |_: &mut PartFiles<'_>| Err(input("it is done again"));
        folder.part(&part("prune a", 1), work(1))?;
        folder.part(&part("prune a", 1), never)?;
        drop(folder);
        let mut folder = Folder::open(&out, network("a"))?;
        folder.part(&part("prune a", 1), never)?;
        // Other settings, or a file that was changed.
        folder.part(&part("prune a", 2), work(2))?;
        assert_eq!(read_rows::<Number>(&out.join("data/n.csv"))?, [Number { n: 2 }]);
        std::fs::write(out.join("data/n.csv"), "n\n7\n")?;
        folder.part(&part("prune a", 2), work(2))?;
        assert_eq!(read_rows::<Number>(&out.join("data/n.csv"))?, [Number { n: 2 }]);
        // Another part leaves it alone.
        let other = |files: &mut PartFiles<'_>| files.write("data/m.csv", &[Number { n: 4 }]);
        assert!(!folder.is_done(&part("prune b", 1))?);
        folder.part(&part("prune b", 1), other)?;
        assert!(folder.is_done(&part("prune a", 2))? && folder.is_done(&part("prune b", 1))?);
        // A part that makes another file removes its old one.
        let moved = |files: &mut PartFiles<'_>| files.write("data/k.csv", &[Number { n: 5 }]);
        folder.part(&part("prune b", 2), moved)?;
        assert!(!out.join("data/m.csv").exists() && out.join("data/k.csv").exists());
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
        let own = std::fs::read_to_string(out.join(FILE))?;
        std::fs::write(out.join(FILE), own.replace("\"form\": 3", "\"form\": 2"))?;
        assert!(refused(&out, "a").contains("of another version"));
        let run = "{\"foresee\": \"0.1.0\", \"stages\": {}}";
        std::fs::write(out.join(FILE), run)?;
        assert!(refused(&out, "a").contains("is not of `explain`"));
        assert!(refused(&out.join("data/inside"), "a").contains("belongs to the run"));
        std::fs::write(out.join(FILE), "{")?;
        assert!(refused(&out, "a").contains("damaged"));
        // What is no text is another program's.
        std::fs::write(out.join(FILE), [0xff])?;
        assert!(refused(&out, "a").contains("manifest.json cannot be read"));
        assert_eq!(std::fs::read(out.join(FILE))?, [0xff]);
        assert!(!out.join(".lock").exists());
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
