//! In what the settings of the compared systems differ.

use std::collections::{BTreeMap, BTreeSet};

use foresee_report::{Source, Table};

use crate::config::{Config, OF_PAPER, SystemName};
use crate::error::Result;
use crate::run::Run;

/// The sizes of all systems, and the settings of their trainings in which they differ.
pub(super) fn settings(runs: &[(SystemName, Run)], source: &Source) -> Result<Table> {
    let caption = "Settings: the size of each system, and where the trainings differ.";
    let mut table = Table::new("settings", caption, &["system", "size", "training"]);
    let mut configs: Vec<(SystemName, &Config)> = vec![];
    for (system, run) in runs {
        if !configs.iter().any(|(name, _)| name == system) {
            configs.push((*system, &run.manifest.config));
        }
    }
    let differing = differing(&configs)?;
    for (system, config) in &configs {
        table.rows.push(vec![
            system.title().into(),
            size(*system, config),
            training(*system, config, &differing)?,
        ]);
    }
    table.notes.push(
        "The width is that of the first stage, and all stages grow with it; a ResNet and a VGG-16 \
         of their papers have 64. All other settings of the trainings are equal."
            .into(),
    );
    Ok(table.measured_on(source))
}

fn size(system: SystemName, config: &Config) -> String {
    let width = format!("width {}", config.system.width);
    match system {
        SystemName::Paper => format!("{} channels", config.model.channels),
        SystemName::Facetracer => "–".into(),
        SystemName::Abn => {
            let maps = if config.system.map_each { "a map for each attribute" } else { "one map" };
            format!("{width}, on a ResNet-{}, {maps}", config.system.depth)
        }
        _ => width,
    }
}

/// Settings of the training that all networks have, by their values.
fn shared(config: &Config) -> Result<BTreeMap<String, String>> {
    let of_paper =
        config.train.trainer.options().into_iter().map(|(key, _)| format!("train.{key}"));
    let of_paper: BTreeSet<String> =
        of_paper.chain(OF_PAPER.map(|key| format!("train.{key}"))).collect();
    let keys = config.keys_of(&["train"])?.into_iter();
    Ok(keys.filter(|(key, _)| !of_paper.contains(key)).collect())
}

/// The settings of the trainings that differ from system to system.
fn differing(configs: &[(SystemName, &Config)]) -> Result<BTreeSet<String>> {
    let networks = configs.iter().filter(|(system, _)| *system != SystemName::Facetracer);
    let all = networks.map(|(_, config)| shared(config)).collect::<Result<Vec<_>>>()?;
    let Some(first) = all.first() else { return Ok(BTreeSet::new()) };
    let differs = |key: &&String| all.iter().any(|of| of.get(*key) != first.get(*key));
    Ok(first.keys().filter(differs).cloned().collect())
}

fn training(system: SystemName, config: &Config, differing: &BTreeSet<String>) -> Result<String> {
    if system == SystemName::Facetracer {
        return Ok("–".into());
    }
    let shared = shared(config)?;
    let own = differing.iter().filter_map(|key| Some(format!("{key} = {}", shared.get(key)?)));
    let mut texts: Vec<String> = own.collect();
    if system == SystemName::Paper {
        texts.push(config.training_title());
        texts.push(format!("train.sleep = {}", config.train.trainer.sleep));
    }
    if config.system.weights().is_some() {
        texts.push("began with weights from a file".into());
    }
    if config.system.identities > 0 {
        texts.push("learned people first, in as many passes".into());
    }
    Ok(if texts.is_empty() { "–".into() } else { texts.join(", ") })
}
