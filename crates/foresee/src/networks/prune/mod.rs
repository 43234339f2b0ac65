//! `prune`: accuracy, operations, parameters and time over the channels that are pruned of each
//! layer; and a pruned network.

mod by_output;
mod cost;
mod curves;
mod measures;
mod page;
mod rows;
mod save;

use std::path::Path;

use foresee_graph::{ChannelGroup, Graph};
use foresee_perturb::{GroupRule, PruneRule, Takeover};
use serde::Serialize;

use self::cost::Costs;
use self::curves::{Curves, Measured};
pub(crate) use self::page::{PAGE, table};
pub(crate) use self::rows::{CostPoint, OutputAccuracy, PrunePoint};
pub(crate) use self::save::{Amount, Pruned, SaveOptions, prune_network};
use super::calibration::Images;
use super::folder::{Folder, Part, file_name, read_rows};
use super::layers::layers;
use super::made_from::MadeFrom;
use super::task::Task;
use crate::error::{Result, input};
use crate::progress::{Progress, Unit};

/// Random orders that are compared.
const RANDOM_ORDERS: u64 = 3;
/// The version of its data files.
const FORMAT: u32 = 6;
/// How its parts are called.
const PART: &str = "prune ";
const COST_PART: &str = "prune-cost ";
/// Layers whose channels are measured in one pass.
const AT_ONCE: usize = 8;

/// The rules and takeovers that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compare {
    /// The paper's rule, the filter norm, Taylor terms and three random orders; nothing or all kept
    /// channels take over.
    Few,
    /// All rules, three random orders, and all takeovers.
    All,
}

impl Compare {
    fn rules(self) -> Vec<GroupRule> {
        let few = [PruneRule::Lower, PruneRule::FilterNorm, PruneRule::Random];
        match self {
            Self::Few => few.into_iter().map(GroupRule::Of).chain([GroupRule::Taylor]).collect(),
            Self::All => GroupRule::all(),
        }
    }

    fn takeovers(self) -> &'static [Takeover] {
        match self {
            Self::Few => &[Takeover::Nothing, Takeover::LeastSquares],
            Self::All => &Takeover::COMPARED,
        }
    }
}

/// What is compared.
#[derive(Debug, Clone)]
pub(crate) struct PruneOptions {
    /// Layers; empty: all that can be pruned.
    pub layers: Vec<String>,
    /// The shares of a layer's channels that are pruned.
    pub shares: Vec<f64>,
    pub compare: Compare,
    /// Images for the channels' statistics; 0: half of them.
    pub calibration: usize,
    pub seed: u64,
}

/// What was measured of all layers.
pub(crate) struct Pruning {
    pub points: Vec<PrunePoint>,
    pub costs: Vec<CostPoint>,
    /// Of the unpruned network.
    pub by_output: Vec<OutputAccuracy>,
}

/// What decides the curves of a layer, beside images and labels.
#[derive(Serialize)]
struct Settings<'a> {
    layer: &'a str,
    shares: &'a [f64],
    compare: Compare,
    calibration: usize,
    seed: u64,
}

/// Measures the curves of each layer, and writes data, figures and page into a folder.
///
/// # Errors
/// If there are no labels or nothing to prune, the network fails, or a file cannot be written.
pub(crate) fn prune(task: &Task, out: &Path, options: &PruneOptions) -> Result<Pruning> {
    task.labels()?;
    let images = Images::split(task, options.calibration)?;
    let groups = layers(&task.network, &options.layers)?;
    let graph = task.network.with_logits_output()?;
    let mut folder = task.folder(out)?;
    let work = Work { task, options, images, graph };
    work.accuracy(&groups, &mut folder)?;
    let pruned: Vec<&ChannelGroup> = work.done(&groups, &folder)?;
    if pruned.is_empty() {
        return Err(input("no layer could be pruned: the warnings say why"));
    }
    work.costs(&pruned, &mut folder)?;
    by_output::write(&work.images, &work.graph, &mut folder)?;
    let names: Vec<&str> = pruned.iter().map(|group| group.name.as_str()).collect();
    page::write(&work.images, &mut folder, &names)?;
    let (mut points, mut costs) = (vec![], vec![]);
    for name in names {
        points.extend(read_rows::<PrunePoint>(&folder.path(&data_file(name)))?);
        costs.extend(read_rows::<CostPoint>(&folder.path(&cost_file(name)))?);
    }
    let by_output = read_rows(&folder.path(by_output::FILE))?;
    Ok(Pruning { points, costs, by_output })
}

/// Where the points of a layer lie.
fn data_file(layer: &str) -> String {
    format!("data/pruning/{}.csv", file_name(layer))
}

/// Where the costs of a layer lie.
fn cost_file(layer: &str) -> String {
    format!("data/pruning/{}.cost.csv", file_name(layer))
}

/// A network whose layers are pruned, each for itself.
struct Work<'a> {
    task: &'a Task,
    options: &'a PruneOptions,
    images: Images<'a>,
    /// With the logits as its output.
    graph: Graph,
}

impl Work<'_> {
    /// Measures the curves of the layers that are not done.
    fn accuracy(&self, groups: &[ChannelGroup], folder: &mut Folder) -> Result<()> {
        let mut left = vec![];
        for group in groups {
            let name = format!("{PART}{}", group.name);
            if !folder.is_done(&self.part(&name, group))? {
                left.push((name, group));
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        self.task.images.check(&self.task.reader.framing)?;
        let curves = Curves::new(self.options, &self.images, &self.graph)?;
        let done = groups.len() - left.len();
        let progress = Progress::new("pruning", Unit::Layers, groups.len(), done);
        for layers in left.chunks(AT_ONCE) {
            let of_all: Vec<&ChannelGroup> = layers.iter().map(|(_, group)| *group).collect();
            // A layer that fails is found below, where each is measured alone.
            let together = curves.measure(&of_all).ok();
            for (place, (name, group)) in layers.iter().enumerate() {
                let layer = |measured: &Measured, place| curves.of(group, measured, place);
                let done = folder.part(&self.part(name, group), |files| {
                    let points = match &together {
                        Some(measured) => layer(measured, place)?,
                        None => layer(&curves.measure(&[group])?, 0)?,
                    };
                    files.write(&data_file(&group.name), &points)
                });
                skip_of_layer(done)?;
                progress.add(1, || group.name.clone());
            }
        }
        Ok(())
    }

    /// Measures what the networks cost that are not done.
    fn costs(&self, groups: &[&ChannelGroup], folder: &mut Folder) -> Result<()> {
        let costs = Costs::new(self.options, &self.images, &self.graph);
        for group in groups {
            let name = format!("{COST_PART}{}", group.name);
            let part = Part { name: &name, format: FORMAT, made_from: costs.made_from(group) };
            let file = cost_file(&group.name);
            folder.part(&part, |files| files.write(&file, &costs.of(group)?))?;
        }
        Ok(())
    }

    /// The layers whose curves are measured.
    fn done<'g>(
        &self,
        groups: &'g [ChannelGroup],
        folder: &Folder,
    ) -> Result<Vec<&'g ChannelGroup>> {
        let mut done = vec![];
        for group in groups {
            if folder.is_done(&self.part(&format!("{PART}{}", group.name), group))? {
                done.push(group);
            }
        }
        Ok(done)
    }

    fn part<'n>(
        &'n self,
        name: &'n str,
        group: &'n ChannelGroup,
    ) -> Part<'n, MadeFrom<Settings<'n>>> {
        // All options are named, so that none is forgotten.
        let PruneOptions { layers: _, shares, compare, calibration: _, seed } = self.options;
        let settings = Settings {
            layer: &group.name,
            shares,
            compare: *compare,
            calibration: self.images.calibration().len(),
            seed: *seed,
        };
        Part { name, format: FORMAT, made_from: self.task.made_from(settings) }
    }
}

/// A layer that cannot be pruned is left out with a warning.
fn skip_of_layer(done: Result<()>) -> Result<()> {
    match done {
        Err(error) if error.downcast_ref::<foresee_perturb::Error>().is_some() => {
            tracing::warn!("{error:#}: this layer is skipped");
            Ok(())
        }
        done => done,
    }
}
