//! The last two checkpoints of a training: if the newest is damaged, the one before it is still
//! there.

use anyhow::{Context, Result};
use foresee_model::Trainer;
use foresee_report::frame::write_whole;

use super::history::History;
use crate::run::Run;

/// The newest, and the one before it.
const FILES: [&str; 2] = ["checkpoint.safetensors", "checkpoint.previous.safetensors"];

/// Seconds of work that a checkpoint holds, for the manifest.
const SECONDS: &str = "checkpoint.seconds";

/// One that was passed over, out of the way: it must not take the place of a good one.
const UNUSABLE: &str = "checkpoint.unusable.safetensors";

/// A trainer that goes on from the newest checkpoint that can be used, or else is `fresh`.
pub fn resume(run: &Run, fresh: impl Fn() -> Result<Trainer>) -> Result<(Trainer, History)> {
    for file in FILES {
        let path = run.path(file);
        if !path.exists() {
            continue;
        }
        let mut trainer = fresh()?;
        match trainer
            .resume(&path)
            .map_err(anyhow::Error::from)
            .and_then(|()| History::read(run, trainer.position()))
        {
            Ok(history) => {
                tracing::info!(
                    "going on from step {} of {}",
                    trainer.position().step,
                    trainer.steps()
                );
                return Ok((trainer, history));
            }
            Err(e) => {
                tracing::warn!("a checkpoint is passed over: {e:#}");
                std::fs::rename(&path, run.path(UNUSABLE))
                    .with_context(|| format!("renaming {}", path.display()))?;
            }
        }
    }
    Ok((fresh()?, History::default()))
}

/// What earlier sessions took, as far as their work was saved.
pub fn seconds(run: &Run) -> f64 {
    std::fs::read_to_string(run.path(SECONDS))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_default()
}

/// Writes a checkpoint and the history up to it, which took this long in all sessions.
pub fn save(run: &Run, trainer: &Trainer, history: &History, seconds: f64) -> Result<()> {
    history.write(run)?;
    write_whole(&run.path(SECONDS), format!("{seconds:.3}\n").as_bytes())?;
    let [newest, previous] = FILES.map(|file| run.path(file));
    if newest.exists() {
        std::fs::rename(&newest, &previous)
            .with_context(|| format!("renaming {}", newest.display()))?;
    }
    Ok(trainer.save_checkpoint(&newest)?)
}

/// Removes all checkpoints of a run.
pub fn remove(run: &Run) {
    for file in FILES.iter().chain([&UNUSABLE, &SECONDS]) {
        let _ = std::fs::remove_file(run.path(file));
    }
}
