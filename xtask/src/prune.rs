//! Stage `prune`: plans of semantic channel pruning and accuracy over the number of pruned channels (Figure 7).

use anyhow::Result;
use candle_core::{Device, Tensor};
use foresee_celeba::{ATTRIBUTES, Split};
use foresee_perturb::{Norms, PruneOrder, PrunePlan, Victim, prune_curves, random_order};
use foresee_report::frame::{self, df};

use crate::config::Norm;
use crate::faces;
use crate::progress::Progress;
use crate::run::Run;
use crate::train;

pub fn stage(run: &mut Run, device: &Device) -> Result<()> {
    let config = run.manifest.config.clone();
    let reads = ["model.safetensors", "data/channel_correlation.csv", "data/channels.csv"];
    run.stage("prune", &(&config.data, &config.prune, run.manifest.seed), &reads, |run| {
        let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
        let (network, _) = train::load(&run.folder, device)?;
        let channels = network.config().channels;
        let (orders, made) = orders(run, channels)?;
        let counts: Vec<usize> =
            (0..channels).step_by(config.prune.step).chain([channels - 1]).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        let test = faces::limited(data.split(Split::Test)?, config.prune.images);
        let mut progress = Progress::new("pruning", test.len(), 0);
        let batches = faces::in_order(&data, &test, config.data.image_size, 8).map(|batch| -> Result<(Tensor, Tensor)> {
            let batch = batch?;
            progress.add(batch.faces.len(), || format!("{} networks", orders.len() * counts.len()));
            Ok((batch.images.to_device(device)?, batch.labels.to_device(device)?))
        });
        let tallies = prune_curves(&network, &orders, &counts, batches)?;
        let points = || orders.iter().zip(&tallies).flat_map(|(order, row)| counts.iter().zip(row).map(move |(&count, tally)| (order, count, tally)));
        let mut curve = df!(
            "rule" => points().map(|p| p.0.rule.clone()).collect::<Vec<_>>(),
            "seed" => points().map(|p| p.0.seed.map(|s| s as i64)).collect::<Vec<_>>(),
            "pruned" => points().map(|p| p.1 as i64).collect::<Vec<_>>(),
            "images" => points().map(|p| p.2.images() as i64).collect::<Vec<_>>(),
            "accuracy" => points().map(|p| p.2.accuracy()).collect::<Vec<_>>(),
            "standard_error" => points().map(|p| p.2.standard_error()).collect::<Vec<_>>(),
        )?;
        for (k, name) in ATTRIBUTES.iter().enumerate() {
            curve.with_column(frame::column(name, points().map(|p| p.2.by_attribute()[k]).collect::<Vec<f64>>()))?;
        }
        frame::write_csv(&run.path("data/channel_pruning.csv"), curve)?;
        Ok(made.into_iter().chain(["data/channel_pruning.csv".into()]).collect())
    })
}

/// The orders of Figure 7, of which the plans are written.
fn orders(run: &Run, channels: usize) -> Result<(Vec<PruneOrder>, Vec<String>)> {
    let config = &run.manifest.config.prune;
    let table = frame::read_csv(&run.path("data/channel_correlation.csv"))?;
    let correlation = (0..channels).map(|j| Ok(frame::numbers(&table, &format!("c{j}"))?)).collect::<Result<Vec<_>>>()?;
    let norms = frame::read_csv(&run.path("data/channels.csv"))?;
    let norms = match config.norm {
        Norm::Filter => Norms::new("filter L1", frame::numbers(&norms, "filter_l1")?),
        Norm::Readout => Norms::new("readout L1", frame::numbers(&norms, "readout_l1")?),
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
    Ok(frame::write_csv(&run.path(file), frame)?)
}
