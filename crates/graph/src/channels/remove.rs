//! The physically smaller graph.

use super::editor::Editor;
use super::reconstruct::Reconstruction;
use super::removal::{Removal, Removed};
use crate::error::Result;
use crate::graph::Graph;

impl Graph {
    /// The smaller graph without some units of each of these groups, which must be groups of this
    /// graph. It computes what [`mask_channels`](Self::mask_channels) does: what the removed
    /// channels contributed is missing. Values keep their ids; nodes do, unless the graph computes
    /// shapes from channels.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_graph::{Builder, Op, Removal};
    ///
    /// // y = x·[1 2]·[10, 20]ᵀ.
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![None, Some(1)])?;
    /// let a = builder.weight("a", Tensor::new(&[[1f32, 2.]], &Device::Cpu)?)?;
    /// let b = builder.weight("b", Tensor::new(&[[10f32], [20.]], &Device::Cpu)?)?;
    /// let hidden = builder.node("hidden", Op::MatMul, &[x, a])?;
    /// let y = builder.node("y", Op::MatMul, &[hidden, b])?;
    /// let graph = builder.finish(vec![y])?;
    ///
    /// let groups = graph.channel_groups(&[])?;
    /// assert_eq!((groups[0].name.as_str(), groups[0].units), ("hidden", 2));
    /// let smaller = graph.remove_channels(&[Removal { group: &groups[0], units: &[0] }])?;
    /// let x = Tensor::new(&[[1f32]], &Device::Cpu)?;
    /// assert_eq!(smaller.forward(&[x])?[0].to_vec2::<f32>()?, [[40.]]);
    /// assert_eq!(smaller.cost(&smaller.shapes(1, &[])?).parameters, 2);
    /// # Ok::<(), foresee_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a group is fixed or of another graph, there is no such unit, or none would be left.
    pub fn remove_channels(&self, removals: &[Removal]) -> Result<Self> {
        self.remove_channels_with(removals, &[])
    }

    /// As [`remove_channels`](Self::remove_channels), but the kept channels take over what the
    /// removed ones did, where they are read: of z = [z_Q, z_P], z_P ≈ S·z_Q + t is put into the
    /// weight W of each node that reads z, as W' = W_Q + W_P·S, and W_P·t joins its bias. There can
    /// be one reconstruction for each value that is read
    /// ([`reads`](crate::ChannelGroup::reads)); values without one lose what the removed channels
    /// contributed.
    ///
    /// A convolution applies it at each tap, which is exact but for the offset t at taps that lie
    /// in its zero padding. A transposed convolution takes the mean of the offset over its output
    /// positions. After a matrix product without a bias a node is inserted that adds it. What is
    /// read without a weight is not taken over.
    ///
    /// # Errors
    /// As [`remove_channels`](Self::remove_channels), or if a reconstruction is of other channels.
    pub fn remove_channels_with(
        &self,
        removals: &[Removal],
        reconstructions: &[Reconstruction],
    ) -> Result<Self> {
        let removed = Removed::new(self, removals)?;
        let mut editor = Editor::new(self);
        editor.weights(&removed)?;
        for reconstruction in reconstructions {
            reconstruction.apply(&mut editor, removals, &removed)?;
        }
        editor.sites(&removed)?;
        Ok(editor.finish())
    }
}
