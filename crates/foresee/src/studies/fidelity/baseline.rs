//! Which variant of a study is the network of another without masks, trained alike.

use foresee_model::TrainConfig;

use super::Group;
use crate::config::{Config, Data, Model, Train};
use crate::run::Manifest;

/// The variant that differs from this one in nothing but its masks and what weighs them. Drawn
/// have none.
pub(super) fn without_masks<'a>(group: &Group, others: &'a [Group]) -> Option<&'a Group> {
    let own = &group.runs.first()?.manifest;
    if !own.config.model.attention || own.data.synthetic {
        return None;
    }
    others.iter().find(|other| {
        other.runs.first().is_some_and(|run| {
            !run.manifest.config.model.attention && trained_alike(own, &run.manifest)
        })
    })
}

/// Whether two runs are of the same faces, trained with the same settings once masks and what only
/// they are given are set aside, and judged on the same images.
fn trained_alike(a: &Manifest, b: &Manifest) -> bool {
    (&a.data.sha256, &a.device) == (&b.data.sha256, &b.device)
        && training(&a.config) == training(&b.config)
        && a.config.prune.images == b.config.prune.images
}

/// All settings that a training depends on, with masks and what only they are given set to one
/// value.
fn training(config: &Config) -> (Data, Model, Train) {
    let reference = Model::default();
    let model = Model {
        attention: reference.attention,
        mask_kernel: reference.mask_kernel,
        ..config.model.clone()
    };
    let mut train = config.train.clone();
    let reference = TrainConfig::default();
    train.trainer.lambda = 0.;
    train.trainer.sparsity = reference.sparsity;
    train.trainer.sleep = reference.sleep;
    train.trainer.budget = reference.budget;
    train.trainer.curve = reference.curve;
    train.trainer.mask_decay = reference.mask_decay;
    train.trainer.variation = reference.variation;
    (config.data.clone(), model, train)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;

    fn settings(set: &[&str]) -> Result<(Data, Model, Train)> {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        Ok(training(&Config::resolve("small", None, &set)?))
    }

    #[test]
    fn only_masks_and_their_weight_are_set_aside() -> Result<()> {
        let masked = settings(&[
            "train.lambda=1e-5",
            "model.mask_kernel=3",
            "train.sleep=0",
            "train.budget=0.1",
            "train.curve=0.1",
            "train.mask_decay=1",
        ])?;
        assert_eq!(masked, settings(&["model.attention=false"])?);
        for other in [
            "train.weight_decay=0",
            "train.warmup=0.1",
            "train.flip=false",
            "data.image_size=64",
            "model.readout=positive",
            "model.precision=f32",
        ] {
            assert_ne!(masked, settings(&["model.attention=false", other])?, "{other}");
        }
        Ok(())
    }
}
