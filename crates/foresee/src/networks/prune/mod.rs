//! `prune`: accuracy, operations, parameters and time over the channels that are pruned of each
//! layer; and a pruned network.

mod judge;
mod page;
mod rows;
mod save;

use std::path::Path;

use foresee_graph::{ChannelGroup, Graph};
use foresee_perturb::{
    GroupCurve, GroupOrder, GroupRule, GroupStudy, PruneRule, Takeover, tally_group_curves,
};
use serde::Serialize;

use self::judge::Images;
pub(crate) use self::page::{PAGE, table};
pub(crate) use self::rows::{CostPoint, PrunePoint};
pub(crate) use self::save::{Amount, ONNX_START, Pruned, SaveOptions, prune_network};
use super::folder::{Folder, Part, PartFiles, file_name};
use super::labels::Labels;
use super::layers::layers;
use super::subject::{Given, Subject};
use crate::error::Result;
use crate::progress::{Progress, Unit};

/// The version of its files.
const FORMAT: u32 = 1;
/// How its parts are called.
const PART: &str = "prune ";

/// The rules and takeovers that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compare {
    /// The paper's rule, the filter norm, Taylor terms and chance; nothing or all kept channels
    /// take over.
    Few,
    /// All rules, three random orders, and all takeovers.
    All,
}

impl Compare {
    fn has(self, rule: GroupRule) -> bool {
        match rule {
            GroupRule::Taylor => true,
            GroupRule::Of(PruneRule::Lower | PruneRule::FilterNorm | PruneRule::Random) => true,
            GroupRule::Of(_) => self == Self::All,
        }
    }

    fn random_orders(self) -> u64 {
        if self == Self::All { 3 } else { 1 }
    }

    fn takeovers(self) -> &'static [Takeover] {
        match self {
            Self::Few => &[Takeover::Nothing, Takeover::LeastSquares],
            Self::All => &Takeover::ALL,
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

#[derive(Serialize)]
struct MadeFrom<'a> {
    given: &'a Given,
    images_sha256: &'a str,
    labels_sha256: String,
    layer: &'a str,
    shares: &'a [f64],
    compare: Compare,
    calibration: usize,
    seed: u64,
}

/// Measures the curves of each layer, and writes data, figures and page into a folder. Returns the
/// folder, and the files of points and of costs, layer by layer.
///
/// # Errors
/// If there are no labels or nothing to prune, the network fails, or a file cannot be written.
pub(crate) fn prune(
    subject: &Subject,
    out: &Path,
    options: &PruneOptions,
) -> Result<(Folder, Vec<[String; 2]>)> {
    let images = Images::new(subject, options.calibration)?;
    let groups = layers(&subject.network, &options.layers)?;
    let graph = subject.network.judged()?;
    let mut folder = subject.folder(out)?;
    let given = subject.given();
    let labels_sha256 = subject.labels.as_ref().map_or(String::new(), Labels::sha256);
    let work = Work { options, images, graph };
    let progress = Progress::new("pruning", Unit::Layers, groups.len(), 0);
    let mut parts = vec![];
    for group in &groups {
        let name = format!("{PART}{}", group.name);
        let made_from = MadeFrom {
            given: &given,
            images_sha256: subject.images_sha256(),
            labels_sha256: labels_sha256.clone(),
            layer: &group.name,
            shares: &options.shares,
            compare: options.compare,
            calibration: work.images.calibration(),
            seed: options.seed,
        };
        let part = Part { name: &name, format: FORMAT, made_from };
        folder.part(&part, |files| work.layer(group, files))?;
        parts.push(name);
        progress.add(1, || group.name.clone());
    }
    drop(progress);
    folder.keep(PART, &parts)?;
    page::write(subject, &mut folder, &groups, work.images.judged())?;
    let files = |group: &ChannelGroup| [data_file(&group.name), cost_file(&group.name)];
    Ok((folder, groups.iter().map(files).collect()))
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
    options: &'a PruneOptions,
    images: Images<'a>,
    /// With the answer as its output.
    graph: Graph,
}

impl Work<'_> {
    fn layer(&self, group: &ChannelGroup, files: &mut PartFiles<'_>) -> Result<()> {
        let counts = counts(group, &self.options.shares);
        let curves = self.curves(group, &counts)?;
        let unpruned = self.images.tally(&self.graph)?;
        let tallies = tally_group_curves(&self.graph, group, &curves, self.images.to_judge())?;
        let mut points = vec![];
        for (curve, tallies) in curves.iter().zip(&tallies) {
            let all = std::iter::once((&0, &unpruned)).chain(counts.iter().zip(tallies));
            points.extend(all.map(|(&pruned, tally)| PrunePoint {
                layer: group.name.clone(),
                rule: curve.order.rule,
                seed: curve.order.seed,
                takeover: curve.takeover,
                channels: group.units,
                pruned,
                images: tally.images(),
                accuracy: tally.accuracy(),
                standard_error: tally.standard_error(),
            }));
        }
        files.write(&data_file(&group.name), &points)?;
        files.write(&cost_file(&group.name), &self.costs(group, &counts, &curves)?)
    }

    /// Every order that is compared, under every takeover.
    fn curves(&self, group: &ChannelGroup, counts: &[usize]) -> Result<Vec<GroupCurve>> {
        let compare = self.options.compare;
        let statistics = self.images.statistics(&self.graph, std::slice::from_ref(group))?;
        let taylor = self.images.taylor(&self.graph, std::slice::from_ref(group))?;
        let study = GroupStudy {
            random_orders: compare.random_orders(),
            seed: self.options.seed,
            ..GroupStudy::default()
        };
        let orders = study.orders(&statistics, group, taylor.first().map(Vec::as_slice))?;
        let orders: Vec<GroupOrder> =
            orders.into_iter().filter(|order| compare.has(order.rule)).collect();
        Ok(study.curves(&statistics, group, &orders, compare.takeovers(), counts)?)
    }

    /// What the networks cost; the same for all orders.
    fn costs(
        &self,
        group: &ChannelGroup,
        counts: &[usize],
        curves: &[GroupCurve],
    ) -> Result<Vec<CostPoint>> {
        let first = curves.first().map_or(&[][..], |curve| &curve.graphs);
        let graphs = std::iter::once((&0, &self.graph)).chain(counts.iter().zip(first));
        let cost = |(&pruned, graph): (&usize, &Graph)| {
            let cost = graph.cost(&graph.shapes(1, &[])?);
            Ok(CostPoint {
                layer: group.name.clone(),
                channels: group.units,
                pruned,
                macs: cost.macs,
                parameters: cost.parameters,
                milliseconds: self.images.milliseconds(graph)?,
            })
        };
        graphs.map(cost).collect()
    }
}

/// How many channels of a group these shares are: at least one goes, and one stays.
fn counts(group: &ChannelGroup, shares: &[f64]) -> Vec<usize> {
    let most = group.units.saturating_sub(1).max(1);
    let count = |share: &f64| ((share * group.units as f64).round() as usize).clamp(1, most);
    let mut counts: Vec<usize> = shares.iter().map(count).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}
