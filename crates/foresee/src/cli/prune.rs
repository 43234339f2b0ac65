//! `prune`: the stage and a pruned network, of a run or of a network of the user's own.

use std::path::{Path, PathBuf};

use foresee_perturb::AttentionModel;

use super::arguments::RunArgs;
use super::json::{RunDocument, Saved, path_text, print_json};
use super::prune_arguments::PruneArgs;
use super::prune_model;
use crate::artifacts::ChannelStatisticsFile;
use crate::error::{Result, input};
use crate::output::{Kind, OutputFile};
use crate::run::{Run, Stage};
use crate::session::Session;
use crate::stages;

pub(super) fn prune(args: &PruneArgs) -> Result<()> {
    match &args.run.model {
        Some(model) => prune_model::prune(args, model),
        None => of_run(args, &args.run.run()?),
    }
}

fn of_run(args: &PruneArgs, run: &RunArgs) -> Result<()> {
    let (mut run, device) = run.open()?;
    let channels = run.manifest.config.model.channels;
    if let Some(count) = args.count.filter(|&count| count >= channels) {
        return Err(input(format!(
            "--count {count} is not possible: the network has {channels} channels, of which one \
             stays at least"
        )));
    }
    let data = &run.manifest.data;
    let reads = [Some(&data.path), data.splits.as_ref(), data.cache.as_ref()];
    let reads: Vec<&Path> = reads.into_iter().flatten().map(PathBuf::as_path).collect();
    let file = args
        .save
        .as_deref()
        .map(|path| OutputFile::new("--save", path, Kind::PrunedModel, &reads, args.overwrite));
    let file = file.transpose()?;
    args.json.check("--save", file.as_ref())?;
    let session = Session::new(device);
    stages::prune::stage(&mut run, &session)?;
    let saved = match (&file, args.count) {
        (Some(file), Some(count)) => Some(save(args, &run, &session, count, file)?),
        _ => None,
    };
    if args.json.is_asked() {
        let mut document = RunDocument::of_stage(&run, Stage::Prune)?;
        document.saved = saved;
        return print_json(&document);
    }
    match file.zip(saved) {
        Some((file, Saved { file: path, channels, channels_of_run, .. })) => {
            file.print_beside(&format!("{path}: {channels} of {channels_of_run} channels\n"))
        }
        None => Ok(()),
    }
}

/// Writes the network without the first `count` channels of the plan.
fn save(
    args: &PruneArgs,
    run: &Run,
    session: &Session,
    count: usize,
    file: &OutputFile,
) -> Result<Saved> {
    let trained = session.trained(run)?;
    let channels = trained.network.config().channels;
    let order = run.semantic_plan(args.rule)?.order();
    let absolute = run.manifest.config.prune.absolute;
    let statistics = ChannelStatisticsFile::read(run.folder())?;
    let cut = statistics.cuts(&order, &[count], args.takeover, absolute)?.remove(0);
    let pruned = trained.network.cut(&cut)?;
    let card = trained.card.pruned(&pruned, cut.kept());
    file.write(&pruned.to_bytes(&card)?)?;
    Ok(Saved {
        file: path_text(file.path()),
        channels: channels - count,
        channels_of_run: channels,
        kept_channels: cut.kept().to_vec(),
    })
}
