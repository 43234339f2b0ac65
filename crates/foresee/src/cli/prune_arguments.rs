//! What `prune` is given.

use std::path::PathBuf;

use clap::Args;
use foresee_perturb::{GroupRule, Takeover, Victim};

use super::arguments::{RunOrModelArgs, one_of};
use super::json::JsonArgs;
use super::network::{MODEL_HEADING, NetworkArgs, share};
use crate::networks::prune::Compare;
use crate::output::OverwriteArgs;

#[derive(Args)]
pub struct PruneArgs {
    #[command(flatten)]
    pub(super) run: RunOrModelArgs,
    /// Also write a pruned network, physically smaller, to this file; it loads like any model. A
    /// pipe or device is written into; - is the standard output. With --model it is an ONNX file,
    /// and no curves are measured.
    #[arg(long, value_name = "FILE", requires = "amount")]
    pub(super) save: Option<PathBuf>,
    #[command(flatten)]
    pub(super) overwrite: OverwriteArgs,
    /// How many channels go from the network that --save writes.
    #[arg(long, value_name = "N", requires = "save", group = "amount")]
    pub(super) count: Option<usize>,
    /// Which member of a correlated pair goes: the one with the lower or the higher norm.
    #[arg(long, value_enum, default_value_t = Victim::Lower, requires = "save")]
    pub(super) rule: Victim,
    /// What the channels that are left do in place of those that go.
    #[arg(long, value_enum, default_value_t = Takeover::Nothing, requires = "save")]
    pub(super) takeover: Takeover,
    #[command(flatten)]
    pub(super) json: JsonArgs,
    #[command(flatten)]
    pub(super) of_model: PruneModelArgs,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
}

/// What is pruned of a network of the user's own.
#[derive(Args)]
#[group(requires = "model", conflicts_with = "run")]
#[command(next_help_heading = MODEL_HEADING)]
pub(super) struct PruneModelArgs {
    /// Where data, figures and the page prune.html go. What is done there already is not done
    /// again.
    #[arg(long, value_name = "DIR", conflicts_with = "save")]
    pub(super) out: Option<PathBuf>,
    /// Only this layer, by a node that computes it or by its weights' name; can be given several
    /// times. Default: all that can be pruned. `foresee inspect` lists them.
    #[arg(long, value_name = "NAME")]
    pub(super) layer: Vec<String>,
    /// With --save: prune all layers evenly until this share of the operations is left.
    #[arg(
        long,
        value_name = "SHARE",
        value_parser = share,
        requires = "save",
        group = "amount"
    )]
    pub(super) budget: Option<f64>,
    /// With --save: the order in which channels go. Default: what --rule says.
    #[arg(
        long,
        value_name = "ORDER",
        value_parser = one_of(GroupRule::all().into_iter().map(GroupRule::id), GroupRule::from_id),
        requires = "save",
        conflicts_with = "rule"
    )]
    pub(super) order: Option<GroupRule>,
    /// The shares of a layer's channels that are pruned. Default: 0.1,0.25,0.5,0.75.
    #[arg(
        long,
        value_name = "SHARES",
        value_delimiter = ',',
        value_parser = share,
        conflicts_with = "save"
    )]
    pub(super) shares: Vec<f64>,
    /// Which orders and takeovers are compared. Default: few.
    #[arg(long, value_enum, conflicts_with = "save")]
    pub(super) compare: Option<Compare>,
    /// Measure the channels' statistics on so many of the images, and accuracy on the others; 0: on
    /// half of them. Default: 0.
    #[arg(long, value_name = "N")]
    pub(super) calibration: Option<usize>,
    /// Decides random orders. Default: 0.
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
}
