//! The files of a training's checkpoints in a run's folder.

use std::path::Path;

use crate::artifacts::{AwakeRows, Row};

/// The last checkpoint.
pub const NEWEST: &str = "checkpoint.safetensors";
/// The one before it: if the newest is damaged, it is still there.
pub const PREVIOUS: &str = "checkpoint.previous.safetensors";
/// One that was passed over, out of the way: it must not take the place of a good one.
pub const UNUSABLE: &str = "checkpoint.unusable.safetensors";
/// Of ANet's training on identities, which comes before.
pub const IDENTITIES: &str = "checkpoint.identities.safetensors";
/// Seconds of work that a checkpoint holds, for the manifest.
pub const SECONDS: &str = "checkpoint.seconds";

/// Whether there is one, also one that could not be read.
pub fn exist(folder: &Path) -> bool {
    [NEWEST, PREVIOUS, UNUSABLE, IDENTITIES].iter().any(|file| folder.join(file).exists())
}

/// Removes them and what of the history not every training writes: another one starts afresh.
pub fn start_afresh(folder: &Path) {
    remove(folder);
    let _ = std::fs::remove_file(folder.join(AwakeRows::PATH));
}

/// Removes them all.
pub fn remove(folder: &Path) {
    for file in [NEWEST, PREVIOUS, UNUSABLE, IDENTITIES, SECONDS] {
        let _ = std::fs::remove_file(folder.join(file));
    }
}
