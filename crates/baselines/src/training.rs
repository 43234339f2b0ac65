//! A system in training.

use candle_core::{Tensor, Var};
use foresee_model::{Batch, Pass, Result as TrainResult, TrainConfig, Trainable, check_labels};

use crate::baseline::{Baseline, is_finite};
use crate::system::System;

/// [`TrainConfig::lambda`], [`TrainConfig::sparsity`] and [`TrainConfig::sleep`] are the paper's
/// network's: they change nothing here.
impl Trainable for Baseline {
    type Config = System;
    type State = ();

    fn config(&self) -> &System {
        self.system()
    }

    fn tensors(&self) -> Vec<(String, &Var)> {
        self.tensors()
    }

    fn trainable(&self) -> Vec<(String, &Var)> {
        self.trainable()
    }

    fn deep_copy(&self) -> TrainResult<Self> {
        Ok(self.deep_copy()?)
    }

    fn start(&self, _: &TrainConfig) -> TrainResult<()> {
        Ok(())
    }

    fn pass(&self, _: &mut (), batch: &Batch, _: &TrainConfig, step: usize) -> TrainResult<Pass> {
        check_labels(batch.labels, step)?;
        let pass = self.forward_train(batch.images, step)?;
        self.update_running(&pass)?;
        let loss = self.system().loss(&pass.values, batch)?;
        let mask_mean = self.system().mask(&pass.values).map(Tensor::mean_all).transpose()?;
        let pass = Pass::of_loss(pass.values[0].clone(), loss)?;
        Ok(match mask_mean {
            Some(mask_mean) => Pass { mask_mean, ..pass },
            None => pass,
        })
    }

    fn first_not_finite(&self, batch: &Batch) -> TrainResult<String> {
        for (name, tensor) in [("the images", batch.images), ("the labels", batch.labels)] {
            if !is_finite(tensor)? {
                return Ok(name.into());
            }
        }
        for (name, var) in self.trainable() {
            if !is_finite(var)? {
                return Ok(name);
            }
        }
        // Without dropout, which makes no value infinite.
        let first = self.first_not_finite(batch.images)?;
        Ok(first.map_or("the loss".into(), |name| format!("the output of {name}")))
    }
}
