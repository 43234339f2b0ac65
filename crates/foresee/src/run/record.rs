//! What is kept of work that is done: which files it made, and what it took.

use std::path::Path;
use std::time::Instant;

use super::StageRecord;
use crate::error::Result;
use crate::hash::file_sha256;
use crate::memory::peak_memory;

/// The record of work that was begun at `start` and made these files in a folder. `made_from` is
/// the version of its outputs, and a hash of all that they are made from.
pub(crate) fn record(
    folder: &Path,
    made_from: (u32, String),
    files: Vec<String>,
    start: Instant,
) -> Result<StageRecord> {
    let hashed = files.into_iter().map(|file| {
        let hash = file_sha256(&folder.join(&file))?;
        Ok((file, hash))
    });
    Ok(StageRecord {
        format: made_from.0,
        inputs_sha256: made_from.1,
        outputs: hashed.collect::<Result<_>>()?,
        wall_seconds: start.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory(),
        energy_joules: None,
    })
}

/// Whether the files that work made in a folder are as it left them.
pub(crate) fn is_untouched(folder: &Path, record: &StageRecord) -> bool {
    let same = |(file, hash): (&String, &String)| {
        file_sha256(&folder.join(file)).is_ok_and(|now| now == *hash)
    };
    record.outputs.iter().all(same)
}

/// Removes the files that work made before, with other settings, and that nothing makes now.
pub(crate) fn remove_unmade(folder: &Path, earlier: &StageRecord, is_made: impl Fn(&str) -> bool) {
    let files = earlier.outputs.keys().filter(|file| !is_made(file));
    files.for_each(|file| drop(std::fs::remove_file(folder.join(file))));
}
