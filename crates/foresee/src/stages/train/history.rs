//! What happened in a training.

use foresee_celeba::{CelebA, Split};
use foresee_model::{Position, StepReport};

use crate::artifacts::{AwakeRows, TrainingStep, Validation};
use crate::config::{Config, SystemName};
use crate::error::Result;
use crate::run::{Outputs, Run};

/// Steps that a message is the mean of.
const RECENT: usize = 20;

/// Every step, every look at sleeping rows, and every judgement on validation faces.
#[derive(Default)]
pub(super) struct History {
    pub steps: Vec<TrainingStep>,
    awake: Vec<AwakeRows>,
    pub validation: Vec<Validation>,
}

impl History {
    /// What happened before a checkpoint at this position.
    pub fn read(run: &Run, at: Position) -> Result<Self> {
        let mut steps: Vec<TrainingStep> = run.read()?;
        steps.truncate(at.step);
        anyhow::ensure!(
            steps.len() == at.step,
            "the history ends at step {}, before the checkpoint",
            steps.len()
        );
        let mut validation: Vec<Validation> = run.read()?;
        validation.retain(|v| v.epochs_done <= at.epoch);
        // Without sleep, such a file is of another run.
        let Config { model, system, train, .. } = &run.manifest.config;
        let may_sleep = system.name == SystemName::Paper && train.trainer.may_sleep(model);
        let mut awake: Vec<AwakeRows> = if may_sleep { run.read()? } else { vec![] };
        awake.retain(|look| look.step < at.step);
        Ok(Self { steps, awake, validation })
    }

    /// Whether the validation behind the last epoch is missing: at the end of an epoch, of a
    /// training that has validation faces.
    pub fn validation_due(&self, data: &CelebA, at: Position) -> bool {
        let done = self.validation.last().map_or(0, |last| last.epochs_done);
        at.batch == 0 && done < at.epoch && data.split(Split::Val).is_ok()
    }

    /// Adds a step.
    pub fn push(&mut self, at: Position, report: &StepReport) {
        self.awake.extend(report.awake.map(|awake| AwakeRows { step: at.step, awake }));
        self.steps.push(TrainingStep {
            step: at.step,
            epoch: at.epoch,
            loss: report.loss.into(),
            classification_loss: report.classification.into(),
            sparsity_loss: report.sparsity.into(),
            batch_accuracy: report.accuracy.into(),
            mask_mean: report.mask_mean.into(),
            learning_rate: report.learning_rate,
        });
    }

    /// Writes it, to be read beside a checkpoint.
    pub fn save(&self, run: &Run) -> Result<()> {
        run.write(&self.steps)?;
        if !self.awake.is_empty() {
            run.write(&self.awake)?;
        }
        run.write(&self.validation)
    }

    /// Writes it as outputs of the stage.
    pub fn write(&self, outputs: &mut Outputs) -> Result<()> {
        outputs.write(&self.steps)?;
        if !self.awake.is_empty() {
            outputs.write(&self.awake)?;
        }
        outputs.write(&self.validation)
    }

    /// Means over the last steps, for the progress bar.
    pub fn message(&self, config: &Config) -> String {
        let Config { model, system, train, .. } = config;
        let recent = &self.steps[self.steps.len().saturating_sub(RECENT)..];
        let mean = |value: fn(&TrainingStep) -> f64| {
            recent.iter().map(value).sum::<f64>() / recent.len().max(1) as f64
        };
        let epoch = self.steps.last().map_or(0, |step| step.epoch) + 1;
        let epochs = train.trainer.epochs;
        if system.name != SystemName::Paper {
            let (loss, accuracy) = (mean(|s| s.loss), 100. * mean(|s| s.batch_accuracy));
            return format!("epoch {epoch}/{epochs}, loss {loss:.3}, accuracy {accuracy:.1} %");
        }
        let masks = model.attributes * model.channels;
        let awake = |look: &AwakeRows| format!(", {} of {masks} masks awake", look.awake);
        format!(
            "epoch {epoch}/{epochs}, loss {:.3} = {:.3} + {:.3} sparsity, accuracy {:.1} %, mask \
             mean {:.3}{}",
            mean(|s| s.loss),
            mean(|s| s.classification_loss),
            mean(|s| s.sparsity_loss),
            100. * mean(|s| s.batch_accuracy),
            mean(|s| s.mask_mean),
            self.awake.last().map(awake).unwrap_or_default()
        )
    }
}
