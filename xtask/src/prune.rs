//! Stage `prune`: plans of semantic channel pruning and accuracy over the number of pruned channels
//! (Figure 7).

use std::path::PathBuf;

use anyhow::Result;
use candle_core::{Device, Tensor};
use clap::{Args, ValueEnum};
use foresee_celeba::{ATTRIBUTES, Split};
use foresee_model::{ModelCard, Network, majority_accuracy};
use foresee_perturb::{
    AttentionModel, ChannelStatistics, Cut, PruneOrder, PrunePlan, Takeover, Victim, lasso_order,
    prune_curves, random_order,
};
use foresee_report::frame::{self, df};

use crate::config::Norm;
use crate::error::input;
use crate::output::print;
use crate::progress::Progress;
use crate::run::Run;
use crate::statistics::{self, STATISTICS};
use crate::{RunArgs, faces, train};

/// Images of one batch: every smaller network is made anew for each.
const BATCH: usize = 32;

/// Random orders in which kept channels take over too.
const TAKEOVER_SEEDS: u64 = 3;

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
    /// What the channels that are left do in place of those that go.
    #[arg(long, value_enum, default_value_t = By::Nothing)]
    takeover: By,
}

/// [`Takeover`] on the command line.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum By {
    /// Nothing, as in the paper.
    Nothing,
    /// The most correlated channel takes over the role of the one that goes.
    Partner,
    /// All that are left do, by least squares.
    LeastSquares,
}

impl From<By> for Takeover {
    fn from(by: By) -> Self {
        match by {
            By::Nothing => Self::Nothing,
            By::Partner => Self::Partner,
            By::LeastSquares => Self::LeastSquares,
        }
    }
}

/// The stage, and the network that `--save` asks for.
pub fn prune(args: &PruneArgs) -> Result<()> {
    let (mut run, device) = args.run.take()?;
    stage(&mut run, &device)?;
    let (Some(path), Some(count)) = (&args.save, args.count) else { return Ok(()) };
    let (network, card) = train::load(&run.folder, &device)?;
    let channels = network.config().channels;
    if count >= channels {
        return Err(input(format!(
            "--count {count} is not possible: the network has {channels} channels, of which one stays at least"
        )));
    }
    let plan =
        frame::numbers(&run.read_csv(&format!("data/prune_plan_{}.csv", args.rule))?, "pruned")?;
    let order = PruneOrder {
        rule: args.rule.clone(),
        seed: None,
        order: plan.into_iter().map(|c| c as usize).collect(),
    };
    let cuts = statistics::read(&run)?.cuts(
        &order,
        &[count],
        args.takeover.into(),
        run.manifest.config.prune.absolute,
    )?;
    let pruned = network.cut(&cuts[0])?;
    let card = ModelCard {
        network: pruned.config().clone(),
        kept_channels: Some(cuts[0].kept().to_vec()),
        ..card
    };
    pruned.save(path, &card)?;
    print(&format!("{}: {} of {channels} channels\n", path.display(), channels - count))
}

pub fn stage(run: &mut Run, device: &Device) -> Result<()> {
    let config = run.manifest.config.clone();
    let reads =
        ["model.safetensors", "data/channel_correlation.csv", "data/channels.csv", STATISTICS];
    run.stage("prune", &(&config.data, &config.prune, run.manifest.seed), &reads, |run| {
        let data = faces::reopen(&run.manifest.data, &run.folder, config.data.split.into())?;
        let (network, card) = train::load(&run.folder, device)?;
        let channels = network.config().channels;
        let counts: Vec<usize> = (0..channels)
            .step_by(config.prune.step)
            .chain([channels - 1])
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let (curves, made) = curves(run, &network, &counts)?;
        let test = faces::limited(data.split(Split::Test)?, config.prune.images);
        let mut progress = Progress::new("pruning", test.len(), 0);
        let batches = faces::in_order(&data, &test, &faces::preprocessing(&card), BATCH).map(
            |batch| -> Result<(Tensor, Tensor)> {
                let batch = batch?;
                progress
                    .add(batch.faces.len(), || format!("{} networks", curves.len() * counts.len()));
                Ok((batch.images.to_device(device)?, batch.labels.to_device(device)?))
            },
        );
        let cuts: Vec<Vec<Cut>> = curves.iter().map(|curve| curve.cuts.clone()).collect();
        let tallies = prune_curves(&network, &cuts, batches)?;
        let majority = majority_accuracy(
            &data.frequencies(&data.split(Split::Train)?),
            &data.frequencies(&test),
        );
        let points = || {
            curves.iter().zip(&tallies).flat_map(|(curve, row)| {
                counts.iter().zip(row).map(move |(&count, tally)| (curve, count, tally))
            })
        };
        let mut table = df!(
            "rule" => points().map(|p| p.0.rule.clone()).collect::<Vec<_>>(),
            "takeover" => points().map(|p| name(p.0.takeover)).collect::<Vec<_>>(),
            "seed" => points().map(|p| p.0.seed.map(|s| s as i64)).collect::<Vec<_>>(),
            "pruned" => points().map(|p| p.1 as i64).collect::<Vec<_>>(),
            "images" => points().map(|p| p.2.images() as i64).collect::<Vec<_>>(),
            "accuracy" => points().map(|p| p.2.accuracy()).collect::<Vec<_>>(),
            "standard_error" => points().map(|p| p.2.standard_error()).collect::<Vec<_>>(),
            "majority_accuracy" => points().map(|_| majority).collect::<Vec<_>>(),
        )?;
        for (k, name) in ATTRIBUTES.iter().enumerate() {
            table.with_column(frame::column(
                name,
                points().map(|p| p.2.by_attribute()[k]).collect::<Vec<f64>>(),
            ))?;
        }
        run.write_csv("data/channel_pruning.csv", table)?;
        let names: Vec<&str> = test.iter().map(|&face| data.name(face)).collect();
        let mut by_image = df!("image" => names)?;
        for (curve, count, tally) in points() {
            let column = format!("{}/{}/{count}", curve.name(), name(curve.takeover));
            by_image.with_column(frame::column(&column, tally.right_by_image()))?;
        }
        run.write_csv("data/channel_pruning_by_image.csv", by_image)?;
        Ok(made
            .into_iter()
            .chain(
                ["data/channel_pruning.csv", "data/channel_pruning_by_image.csv"].map(String::from),
            )
            .collect())
    })
}

/// One line of Figure 7.
struct Curve {
    rule: String,
    seed: Option<u64>,
    takeover: Takeover,
    cuts: Vec<Cut>,
}

impl Curve {
    fn name(&self) -> String {
        self.seed.map_or(self.rule.clone(), |seed| format!("{}:{seed}", self.rule))
    }
}

/// As in data/channel_pruning.csv.
fn name(takeover: Takeover) -> &'static str {
    match takeover {
        Takeover::Nothing => "nothing",
        Takeover::Partner => "partner",
        Takeover::LeastSquares => "least_squares",
    }
}

/// The curves that are measured, and the files of the plans, which are written.
fn curves(run: &Run, network: &Network, counts: &[usize]) -> Result<(Vec<Curve>, Vec<String>)> {
    let config = &run.manifest.config.prune;
    let channels = network.config().channels;
    let statistics = statistics::read(run)?;
    let (orders, made) = orders(run, network, &statistics)?;
    let mut curves = vec![];
    for order in orders {
        for &takeover in takeovers(&order, run.manifest.seed, config.takeover) {
            let cuts = match takeover {
                Takeover::Nothing => order.cuts(channels, counts),
                _ => statistics.cuts(&order, counts, takeover, config.absolute)?,
            };
            curves.push(Curve { rule: order.rule.clone(), seed: order.seed, takeover, cuts });
        }
    }
    Ok((curves, made))
}

/// With what each order is measured.
fn takeovers(order: &PruneOrder, seed: u64, too: bool) -> &'static [Takeover] {
    use Takeover::{LeastSquares, Nothing, Partner};
    let beyond = order.seed.is_some_and(|of_order| of_order >= seed + TAKEOVER_SEEDS);
    match (too && !beyond, order.rule.as_str()) {
        (false, _) => &[Nothing],
        (true, "readout") => &[Nothing],
        (true, "l1") => &[Nothing, LeastSquares],
        (true, _) => &[Nothing, Partner, LeastSquares],
    }
}

/// The orders of Figure 7; the semantic plans are written.
fn orders(
    run: &Run,
    network: &Network,
    statistics: &ChannelStatistics,
) -> Result<(Vec<PruneOrder>, Vec<String>)> {
    let config = &run.manifest.config.prune;
    let channels = network.config().channels;
    let table = run.read_csv("data/channel_correlation.csv")?;
    let correlation = (0..channels)
        .map(|j| Ok(frame::numbers(&table, &format!("c{j}"))?))
        .collect::<Result<Vec<_>>>()?;
    let norms = run.read_csv("data/channels.csv")?;
    let (filter, readout) =
        (frame::numbers(&norms, "filter_l1")?, frame::numbers(&norms, "readout_l1")?);
    let norms = match config.norm {
        Norm::Filter => &filter,
        Norm::Readout => &readout,
    };
    let (mut orders, mut made) = (vec![], vec![]);
    for (rule, victim) in [("lower", Victim::Lower), ("higher", Victim::Higher)] {
        let plan = PrunePlan::semantic(&correlation, norms, victim, config.absolute)?;
        let file = format!("data/prune_plan_{rule}.csv");
        write_plan(run, &file, &plan)?;
        made.push(file);
        orders.push(PruneOrder { rule: rule.into(), seed: None, order: plan.order() });
    }
    orders.extend([PruneOrder::by_norm("l1", &filter), PruneOrder::by_norm("readout", &readout)]);
    if config.takeover {
        let gram: Vec<Vec<f64>> = network
            .heads()
            .mask_gram()?
            .into_iter()
            .map(|row| row.into_iter().map(f64::from).collect())
            .collect();
        orders.push(lasso_order(&statistics.covariance, &gram)?);
    }
    orders.extend(
        (0..config.random_seeds).map(|seed| random_order(channels, run.manifest.seed + seed)),
    );
    Ok((orders, made))
}

fn write_plan(run: &Run, file: &str, plan: &PrunePlan) -> Result<()> {
    let numbers = |value: fn(&foresee_perturb::PruneStep) -> f64| {
        plan.steps.iter().map(value).collect::<Vec<_>>()
    };
    let channels = |value: fn(&foresee_perturb::PruneStep) -> usize| {
        plan.steps.iter().map(|s| value(s) as i64).collect::<Vec<_>>()
    };
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
