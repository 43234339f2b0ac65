//! What happened in a training: data/training.csv and data/validation.csv.

use anyhow::{Context, Result};
use foresee_model::{Position, StepReport};
use foresee_report::frame::{self, DataFrame, df};

use crate::run::Run;

pub const FILES: [&str; 2] = ["data/training.csv", "data/validation.csv"];

/// A judgement on validation faces.
pub struct Validation {
    pub epochs_done: usize,
    pub accuracy: f64,
    pub balanced_accuracy: f64,
}

/// Every step, and every judgement on validation faces.
#[derive(Default)]
pub struct History {
    pub steps: Vec<(Position, StepReport)>,
    pub validation: Vec<Validation>,
}

impl History {
    /// What happened before a checkpoint at this position.
    pub fn read(run: &Run, at: Position) -> Result<Self> {
        let read = |file: &str| -> Result<DataFrame> {
            run.read_csv(file).context("the history beside the checkpoint")
        };
        let steps = read(FILES[0])?;
        let numbers = |name: &str| frame::numbers(&steps, name);
        let (step, epoch, loss) = (numbers("step")?, numbers("epoch")?, numbers("loss")?);
        let (classification, sparsity, accuracy) = (
            numbers("classification_loss")?,
            numbers("sparsity_loss")?,
            numbers("batch_accuracy")?,
        );
        let (mask_mean, learning_rate) = (numbers("mask_mean")?, numbers("learning_rate")?);
        let rows = (0..step.len().min(at.step)).map(|i| {
            let position = Position { step: step[i] as usize, epoch: epoch[i] as usize, batch: 0 };
            let report = StepReport {
                loss: loss[i] as f32,
                classification: classification[i] as f32,
                sparsity: sparsity[i] as f32,
                accuracy: accuracy[i] as f32,
                mask_mean: mask_mean[i] as f32,
                learning_rate: learning_rate[i],
            };
            (position, report)
        });
        let steps: Vec<_> = rows.collect();
        anyhow::ensure!(
            steps.len() == at.step,
            "{} ends at step {}, before the checkpoint",
            FILES[0],
            steps.len()
        );
        let validation = read(FILES[1])?;
        let (epochs, accuracy, balanced) = (
            frame::numbers(&validation, "epochs_done")?,
            frame::numbers(&validation, "accuracy")?,
            frame::numbers(&validation, "balanced_accuracy")?,
        );
        let validation = (0..epochs.len())
            .map(|i| Validation {
                epochs_done: epochs[i] as usize,
                accuracy: accuracy[i],
                balanced_accuracy: balanced[i],
            })
            .filter(|v| v.epochs_done <= at.epoch);
        Ok(Self { steps, validation: validation.collect() })
    }

    pub fn write(&self, run: &Run) -> Result<()> {
        let column = |value: fn(&StepReport) -> f64| {
            self.steps.iter().map(|(_, r)| value(r)).collect::<Vec<_>>()
        };
        let place = |value: fn(&Position) -> usize| {
            self.steps.iter().map(|(p, _)| value(p) as i64).collect::<Vec<_>>()
        };
        let steps = df!(
            "step" => place(|p| p.step),
            "epoch" => place(|p| p.epoch),
            "loss" => column(|r| r.loss.into()),
            "classification_loss" => column(|r| r.classification.into()),
            "sparsity_loss" => column(|r| r.sparsity.into()),
            "batch_accuracy" => column(|r| r.accuracy.into()),
            "mask_mean" => column(|r| r.mask_mean.into()),
            "learning_rate" => column(|r| r.learning_rate),
        )?;
        run.write_csv(FILES[0], steps)?;
        let column =
            |value: fn(&Validation) -> f64| self.validation.iter().map(value).collect::<Vec<_>>();
        let validation = df!(
            "epochs_done" => self.validation.iter().map(|v| v.epochs_done as i64).collect::<Vec<_>>(),
            "accuracy" => column(|v| v.accuracy),
            "balanced_accuracy" => column(|v| v.balanced_accuracy),
        )?;
        run.write_csv(FILES[1], validation)
    }

    /// Means over the last steps, for the eye.
    pub fn message(&self, epochs: usize) -> String {
        let last = &self.steps[self.steps.len().saturating_sub(20)..];
        let mean = |value: fn(&StepReport) -> f32| {
            last.iter().map(|(_, r)| value(r)).sum::<f32>() / last.len().max(1) as f32
        };
        let epoch = self.steps.last().map_or(0, |(p, _)| p.epoch) + 1;
        format!(
            "epoch {epoch}/{epochs}, loss {:.3} = {:.3} + {:.3} sparsity, accuracy {:.1} %, mask mean {:.3}",
            mean(|r| r.loss),
            mean(|r| r.classification),
            mean(|r| r.sparsity),
            100. * mean(|r| r.accuracy),
            mean(|r| r.mask_mean)
        )
    }
}
