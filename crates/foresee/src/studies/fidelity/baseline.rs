//! Which variant of a study is the network of another without masks, trained alike.

use super::Group;
use crate::config::Config;
use crate::error::Result;
use crate::run::Manifest;

/// The variant that differs from this one in nothing but its masks and what weighs them. Drawn
/// have none.
pub(super) fn without_masks<'a>(group: &Group, others: &'a [Group]) -> Result<Option<&'a Group>> {
    let Some(own) = group.runs.first().map(|run| &run.manifest) else { return Ok(None) };
    if !own.config.model.attention || own.data.synthetic {
        return Ok(None);
    }
    for other in others {
        let manifest = other.runs.first().map(|run| &run.manifest);
        let manifest = manifest.filter(|manifest| !manifest.config.model.attention);
        if manifest.map_or(Ok(false), |manifest| trained_alike(own, manifest))? {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// Whether two runs are of the same faces, trained with the same settings once masks and what only
/// they are given are set aside, and judged on the same images.
fn trained_alike(a: &Manifest, b: &Manifest) -> Result<bool> {
    Ok((&a.data.sha256, &a.device) == (&b.data.sha256, &b.device)
        && training(&a.config)? == training(&b.config)?
        && a.config.prune.images == b.config.prune.images)
}

/// Settings of masks, besides the options of the training that need them.
const OF_MASKS: [&str; 5] =
    ["model.attention", "model.mask_kernel", "train.lambda", "train.sparsity", "train.sleep"];

/// All settings that a training depends on, without those of masks.
fn training(config: &Config) -> Result<Vec<(String, String)>> {
    let options = config.train.trainer.of_masks().map(|(key, _)| key);
    let mut keys = config.keys_of(&["data", "model", "train"])?;
    keys.retain(|(key, _)| !OF_MASKS.contains(&&**key) && !options.contains(&&**key));
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[&str]) -> Result<Vec<(String, String)>> {
        let set: Vec<String> = set.iter().map(ToString::to_string).collect();
        training(&Config::resolve("small", None, &set)?)
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
            "train.variation=3",
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
