//! Channels that depend on each other, and their removal.
//!
//! Every channel of every value and weight is an atom ([`atoms`]). A node says which atoms of what
//! it reads and computes go together ([`relate`]). What goes together is a unit; the units that a
//! convolution or a linear layer computes are a group ([`group`]).

mod atoms;
mod blocks;
mod editor;
mod group;
mod layout;
mod mask;
mod norms;
mod read;
mod reconstruct;
mod relate;
mod removal;
mod remove;
mod site;
mod trace;

pub use crate::reason::Reason;
pub use group::{ChannelGroup, Place, Producer};
pub use read::{Consumer, InWeight, Read};
pub use reconstruct::{Linear, Reconstruction};
pub use removal::Removal;

use crate::error::Result;
use crate::graph::Graph;

impl Graph {
    /// The groups of channels that can only be removed together (coupled channels), in the order
    /// of the nodes that compute them. It is found from the graph alone, by a pass on zeros:
    ///
    /// - A convolution, transposed convolution or matrix product with a weight computes channels,
    ///   and reads those of its input.
    /// - Sums, products, gates and norms join channels at the same place; concatenations, splits
    ///   and slices carry them along.
    /// - In a grouped convolution a unit is a whole group with its inputs and outputs (a depthwise
    ///   convolution has one channel in each), or, where there are more channels in a group than
    ///   groups, the channels at the same place of each group. A group norm's groups are units.
    /// - Where a reshape cuts channels into rows, such as attention heads or the groups of a
    ///   channel shuffle, the channels at the same place of each row are a unit, or whole rows,
    ///   whichever are more.
    ///
    /// Groups that cannot be pruned say why ([`ChannelGroup::fixed`]): channels that the graph
    /// gives or is given, and those that a node computes over all at once (layer norm, softmax, a
    /// mean or maximum over channels), so that removing them would change more than masking.
    ///
    /// `sizes` are the free sizes of inputs, as [`shapes`](Self::shapes) takes them.
    ///
    /// # Errors
    /// If there are fewer or more sizes than are needed, or a node fails on zeros.
    pub fn channel_groups(&self, sizes: &[usize]) -> Result<Vec<ChannelGroup>> {
        Ok(group::groups(relate::Relations::new(self, sizes)?))
    }
}
