//! One process at a time works in a run's folder.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::claim::Claim;
use super::holder::Holder;
use crate::error::{Busy, Result, input};

/// The lock's file in the folder. The system gives the lock up when its process ends, however that
/// ends. It is not enough where several hosts share the folder: some file systems keep locks on one
/// host, and some have none. There the claim holds.
pub(super) const FILE: &str = ".lock";

/// The right to write in a folder. When it is given up its files go, and the folder too if nothing
/// else is in it.
pub(crate) struct Lock {
    path: PathBuf,
    claim: Option<Claim>,
    // Holds the lock as long as it is open.
    _file: File,
}

impl Lock {
    /// Takes the lock of a folder, which is made if needed, and removes what a killed process left
    /// half written.
    pub fn take(folder: &Path) -> Result<Self> {
        loop {
            std::fs::create_dir_all(folder).map_err(|e| {
                input(format!("{}: {e}; name another folder with --out", folder.display()))
            })?;
            match Self::take_in(folder) {
                // Whoever had it before has just removed the empty folder.
                Err(_) if !folder.exists() => {}
                Err(e) => return Err(e),
                Ok(None) => {}
                Ok(Some(lock)) => {
                    remove_unfinished(folder)
                        .with_context(|| format!("clearing {}", folder.display()))?;
                    return Ok(lock);
                }
            }
        }
    }

    /// Takes the lock as soon as no other process has it.
    pub fn wait(folder: &Path) -> Result<Self> {
        let mut is_told = false;
        loop {
            match Self::take(folder) {
                Err(e) if e.is::<Busy>() => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::info!("waiting: {e:#}");
                    }
                    std::thread::sleep(Duration::from_millis(500));
                }
                done => return done,
            }
        }
    }

    /// Takes the lock of a folder that is there, unless its file was removed at this moment.
    fn take_in(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE);
        let failed = |e: std::io::Error| {
            input(format!("{}: {e}; the folder must be writable", path.display()))
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) if !is_at(&file, &path) => return Ok(None),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&mut file);
                return Err(Busy { holder, folder: folder.into() }.into());
            }
            Err(TryLockError::Error(e)) => {
                tracing::debug!(
                    "{} cannot be locked ({e}): relying on its claim file",
                    folder.display()
                );
            }
        }
        let claim = Some(Claim::take(folder)?);
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(Holder::this_process().title().as_bytes()))
            .map_err(failed)?;
        Ok(Some(Self { path, claim, _file: file }))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.claim.take());
        let _ = std::fs::remove_file(&self.path);
        if let Some(folder) = self.path.parent() {
            // Fails where there is anything else in it.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// The process that a locked file names. It does so soon after it has the lock.
fn holder(file: &mut File) -> String {
    let mut holder = String::new();
    for _ in 0..20 {
        if file.read_to_string(&mut holder).is_ok() && !holder.is_empty() {
            return holder;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    "another process".into()
}

/// Whether an open file is still the one at a path: another process may have removed it in between.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |m: std::fs::Metadata| (m.dev(), m.ino());
    let places = (file.metadata().map(place), std::fs::metadata(path).map(place));
    matches!(places, (Ok(a), Ok(b)) if a == b)
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// Removes files that were being written when a process was killed.
fn remove_unfinished(folder: &Path) -> std::io::Result<()> {
    let mut folders = ["", "data", "figures", "tables"].map(|part| folder.join(part)).to_vec();
    while let Some(part) = folders.pop() {
        for entry in std::fs::read_dir(&part).into_iter().flatten() {
            let entry = entry?;
            let kind = entry.file_type()?;
            // Other folders beside these are not ours.
            if kind.is_dir() && part != folder.join("") {
                folders.push(entry.path());
            } else if kind.is_file()
                && entry.file_name().to_string_lossy().starts_with(foresee_files::UNFINISHED)
            {
                std::fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it_and_nothing_stays() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let run = folder.path().join("run");
        let lock = Lock::take(&run)?;
        let refused = Lock::take(&run).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        std::fs::write(run.join(".tmpABC"), "half")?;
        std::fs::create_dir_all(run.join("data/pruning"))?;
        std::fs::create_dir(run.join("faces"))?;
        std::fs::write(run.join("data/pruning/.tmpABC"), "half")?;
        std::fs::write(run.join("faces/.tmpABC"), "not ours")?;
        drop(lock);
        drop(Lock::take(&run)?);
        assert!(!run.join("data/pruning/.tmpABC").exists() && run.join("faces/.tmpABC").exists());
        std::fs::remove_dir_all(run.join("data"))?;
        std::fs::remove_dir_all(run.join("faces"))?;
        drop(Lock::take(&run)?);
        assert!(!run.exists(), "the folder held nothing but a file that was never finished");
        Ok(())
    }

    #[test]
    fn a_lock_file_of_a_process_that_is_gone_is_no_lock() -> Result<()> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join(FILE), "process 1 on elsewhere")?;
        std::fs::write(folder.path().join("manifest.json"), "{}")?;
        drop(Lock::take(folder.path())?);
        assert!(folder.path().join("manifest.json").exists() && !folder.path().join(FILE).exists());
        Ok(())
    }
}
