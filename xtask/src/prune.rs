//! Stage `prune`: plans of semantic channel pruning and accuracy over the number of pruned channels (Figure 7).

use std::path::PathBuf;

use anyhow::Result;
use candle_core::{Device, Tensor};
use clap::Args;
use foresee_celeba::{ATTRIBUTES, Split};
use foresee_model::{ModelCard, majority_accuracy};
use foresee_perturb::{PruneOrder, PrunePlan, Victim, prune_curves, random_order};
use foresee_report::frame::{self, df};

use crate::config::Norm;
use crate::device::device;
use crate::error::input;
use crate::output::print;
use crate::progress::Progress;
use crate::run::Run;
use crate::{RunArgs, faces, train};

#[derive(Args)]
pub struct PruneArgs {
    #[command(flatten)]
    pub run: RunArgs,
    /// Also write a pruned network, physically smaller, to this file; it loads like any model.
    #[arg(long, value_name = "FILE", requires = "count")]
    save: Option<PathBuf>,
    /// How many channels go from the network that --save writes.
    #[arg(long, value_name = "N", requires = "save")]
    count: Option<usize>,
    /// Which member of a correlated pair goes: the one with the lower or the higher norm.
    #[arg(long, default_value = "lower", value_parser = ["lower", "higher"])]
    rule: String,
}

/// The stage, and the network that `--save` asks for.
pub fn prune(args: &PruneArgs) -> Result<()> {
    let mut run = Run::open(&args.run.run)?;
    let device = device(&run.manifest.device)?;
    stage(&mut run, &device)?;
    let (Some(path), Some(count)) = (&args.save, args.count) else { return Ok(()) };
    let (network, card) = train::load(&run.folder, &device)?;
    let channels = network.config().channels;
    if count >= channels {
        return Err(input(format!("--count {count} is not possible: the network has {channels} channels, of which one stays at least")));
    }
    let plan = frame::numbers(&run.read_csv(&format!("data/prune_plan_{}.csv", args.rule))?, "pruned")?;
    let order = PruneOrder { rule: args.rule.clone(), seed: None, order: plan.into_iter().map(|c| c as usize).collect() };
    let kept = order.kept(channels, count);
    let pruned = network.keeping(&kept)?;
    let card = ModelCard { network: pruned.config().clone(), kept_channels: Some(kept), ..card };
    pruned.save(path, &card)?;
    print(&format!("{}: {} of {channels} channels\n", path.display(), channels - count))
}

pub fn stage(run: &mut Run, device: &Device) -> Result<()> {
    let config = run.manifest.config.clone();
    let reads = ["model.safetensors", "data/channel_correlation.csv", "data/channels.csv"];
    run.stage("prune", &(&config.data, &config.prune, run.manifest.seed), &reads, |run| {
        let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
        let (network, card) = train::load(&run.folder, device)?;
        let channels = network.config().channels;
        let (orders, made) = orders(run, channels)?;
        let counts: Vec<usize> =
            (0..channels).step_by(config.prune.step).chain([channels - 1]).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        let test = faces::limited(data.split(Split::Test)?, config.prune.images);
        let mut progress = Progress::new("pruning", test.len(), 0);
        let batches = faces::in_order(&data, &test, &faces::preprocessing(&card), 8).map(|batch| -> Result<(Tensor, Tensor)> {
            let batch = batch?;
            progress.add(batch.faces.len(), || format!("{} networks", orders.len() * counts.len()));
            Ok((batch.images.to_device(device)?, batch.labels.to_device(device)?))
        });
        let tallies = prune_curves(&network, &orders, &counts, batches)?;
        let majority = majority_accuracy(&data.frequencies(&data.split(Split::Train)?), &data.frequencies(&test));
        let points = || orders.iter().zip(&tallies).flat_map(|(order, row)| counts.iter().zip(row).map(move |(&count, tally)| (order, count, tally)));
        let mut curve = df!(
            "rule" => points().map(|p| p.0.rule.clone()).collect::<Vec<_>>(),
            "seed" => points().map(|p| p.0.seed.map(|s| s as i64)).collect::<Vec<_>>(),
            "pruned" => points().map(|p| p.1 as i64).collect::<Vec<_>>(),
            "images" => points().map(|p| p.2.images() as i64).collect::<Vec<_>>(),
            "accuracy" => points().map(|p| p.2.accuracy()).collect::<Vec<_>>(),
            "standard_error" => points().map(|p| p.2.standard_error()).collect::<Vec<_>>(),
            "majority_accuracy" => points().map(|_| majority).collect::<Vec<_>>(),
        )?;
        for (k, name) in ATTRIBUTES.iter().enumerate() {
            curve.with_column(frame::column(name, points().map(|p| p.2.by_attribute()[k]).collect::<Vec<f64>>()))?;
        }
        run.write_csv("data/channel_pruning.csv", curve)?;
        Ok(made.into_iter().chain(["data/channel_pruning.csv".into()]).collect())
    })
}

/// The orders of Figure 7, of which the plans are written.
fn orders(run: &Run, channels: usize) -> Result<(Vec<PruneOrder>, Vec<String>)> {
    let config = &run.manifest.config.prune;
    let table = run.read_csv("data/channel_correlation.csv")?;
    let correlation = (0..channels).map(|j| Ok(frame::numbers(&table, &format!("c{j}"))?)).collect::<Result<Vec<_>>>()?;
    let norms = run.read_csv("data/channels.csv")?;
    let norms = match config.norm {
        Norm::Filter => frame::numbers(&norms, "filter_l1")?,
        Norm::Readout => frame::numbers(&norms, "readout_l1")?,
    };
    let (mut orders, mut made) = (vec![], vec![]);
    for (rule, victim) in [("lower", Victim::Lower), ("higher", Victim::Higher)] {
        let plan = PrunePlan::semantic(&correlation, &norms, victim, config.absolute)?;
        let file = format!("data/prune_plan_{rule}.csv");
        write_plan(run, &file, &plan)?;
        made.push(file);
        orders.push(PruneOrder { rule: rule.into(), seed: None, order: plan.order() });
    }
    orders.push(PruneOrder::by_norm(&norms));
    orders.extend((0..config.random_seeds).map(|seed| random_order(channels, run.manifest.seed + seed)));
    Ok((orders, made))
}

fn write_plan(run: &Run, file: &str, plan: &PrunePlan) -> Result<()> {
    let numbers = |value: fn(&foresee_perturb::PruneStep) -> f64| plan.steps.iter().map(value).collect::<Vec<_>>();
    let channels = |value: fn(&foresee_perturb::PruneStep) -> usize| plan.steps.iter().map(|s| value(s) as i64).collect::<Vec<_>>();
    let frame = df!(
        "order" => (1..=plan.steps.len() as i64).collect::<Vec<_>>(),
        "first" => channels(|s| s.pair[0]),
        "second" => channels(|s| s.pair[1]),
        "correlation" => numbers(|s| s.correlation),
        "norm_first" => numbers(|s| s.norms[0]),
        "norm_second" => numbers(|s| s.norms[1]),
        "pruned" => channels(|s| s.victim),
    )?;
    run.write_csv(file, frame)
}
