//! The last two checkpoints of a training: if the newest is damaged, the one before it is still
//! there.

use std::time::{Duration, Instant};

use anyhow::Context;
use foresee_files::write_atomic;
use foresee_model::{Trainable, Trainer};

use super::history::History;
use crate::error::Result;
use crate::run::Run;
use crate::run::checkpoint_files::{NEWEST, PREVIOUS, SECONDS, UNUSABLE};

/// A trainer that goes on from the newest checkpoint that can be used, or else is `fresh`.
pub(super) fn resume<N: Trainable>(
    run: &Run,
    fresh: impl Fn() -> Result<Trainer<N>>,
) -> Result<(Trainer<N>, History)> {
    for file in [NEWEST, PREVIOUS] {
        let path = run.path(file);
        if !path.exists() {
            continue;
        }
        let mut trainer = fresh()?;
        let resumed = trainer.resume(&path).map_err(anyhow::Error::from);
        match resumed.and_then(|()| History::read(run, trainer.position())) {
            Ok(history) => {
                let (step, steps) = (trainer.position().step, trainer.steps());
                tracing::info!("going on from step {step} of {steps}");
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

/// When checkpoints are written, and what they cost.
pub(super) struct Clock {
    started: Instant,
    /// Seconds that earlier sessions took, as far as their work was saved.
    pub earlier_seconds: f64,
    every: Duration,
    last: Instant,
    spent: Duration,
}

impl Clock {
    pub fn start(run: &Run) -> Self {
        let text = std::fs::read_to_string(run.path(SECONDS)).unwrap_or_default();
        Self {
            started: Instant::now(),
            earlier_seconds: text.trim().parse().unwrap_or_default(),
            every: Duration::from_secs(run.manifest.config.train.checkpoint_seconds),
            last: Instant::now(),
            spent: Duration::ZERO,
        }
    }

    /// Whether it is time for the next checkpoint.
    pub fn is_due(&self) -> bool {
        self.last.elapsed() > self.every
    }

    /// Writes a checkpoint and the history up to it.
    pub fn save<N: Trainable>(
        &mut self,
        run: &Run,
        trainer: &Trainer<N>,
        history: &History,
    ) -> Result<()> {
        let start = Instant::now();
        history.save(run)?;
        self.note(run)?;
        let [newest, previous] = [NEWEST, PREVIOUS].map(|file| run.path(file));
        if newest.exists() {
            std::fs::rename(&newest, &previous)
                .with_context(|| format!("renaming {}", newest.display()))?;
        }
        trainer.save_checkpoint(&newest)?;
        self.saved(start);
        Ok(())
    }

    /// Writes a checkpoint of what is trained before the network itself, without a history.
    pub fn save_first<N: Trainable>(
        &mut self,
        run: &Run,
        file: &str,
        trainer: &Trainer<N>,
    ) -> Result<()> {
        let start = Instant::now();
        self.note(run)?;
        trainer.save_checkpoint(&run.path(file))?;
        self.saved(start);
        Ok(())
    }

    /// Notes how long all sessions took.
    fn note(&self, run: &Run) -> Result<()> {
        let seconds = self.earlier_seconds + self.started.elapsed().as_secs_f64();
        Ok(write_atomic(&run.path(SECONDS), format!("{seconds:.3}\n").as_bytes())?)
    }

    fn saved(&mut self, start: Instant) {
        self.last = Instant::now();
        self.spent += start.elapsed();
    }

    /// Reports what the checkpoints of this session cost.
    pub fn report(&self) {
        let spent = self.spent.as_secs_f64();
        let share = 100. * spent / self.started.elapsed().as_secs_f64().max(1e-9);
        tracing::info!("checkpoints took {spent:.2} s, {share:.2} % of the training");
    }
}
