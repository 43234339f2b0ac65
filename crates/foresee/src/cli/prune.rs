//! `prune`: the stage, and a pruned network.

use std::path::{Path, PathBuf};

use clap::Args;
use foresee_perturb::{AttentionModel, Takeover, Victim};

use super::arguments::RunArgs;
use super::json::{JsonArgs, RunDocument, Saved, path_text, print_json};
use crate::artifacts::ChannelStatisticsFile;
use crate::error::{Result, input};
use crate::output::{Kind, OutputFile, OverwriteArgs};
use crate::run::{Run, Stage};
use crate::session::Session;
use crate::stages;

#[derive(Args)]
pub struct PruneArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Also write a pruned network, physically smaller, to this file; it loads like any model. A
    /// pipe or device is written into; - is the standard output.
    #[arg(long, value_name = "FILE", requires = "count")]
    save: Option<PathBuf>,
    #[command(flatten)]
    overwrite: OverwriteArgs,
    /// How many channels go from the network that --save writes.
    #[arg(long, value_name = "N", requires = "save")]
    count: Option<usize>,
    /// Which member of a correlated pair goes: the one with the lower or the higher norm.
    #[arg(long, value_enum, default_value_t = Victim::Lower, requires = "save")]
    rule: Victim,
    /// What the channels that are left do in place of those that go.
    #[arg(long, value_enum, default_value_t = Takeover::Nothing, requires = "save")]
    takeover: Takeover,
    #[command(flatten)]
    json: JsonArgs,
}

pub(super) fn prune(args: &PruneArgs) -> Result<()> {
    let (mut run, device) = args.run.open()?;
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
