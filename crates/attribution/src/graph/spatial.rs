//! Where in a graph images are: the default place of the CAM family.

use std::collections::BTreeMap;

use candle_core::Tensor;
use foresee_graph::{Node, Op, ValueId};

use super::GraphModel;
use super::trace::Trace;
use crate::error::{Error, Result};
use crate::tensors::check_input;

/// Where the channels of an image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    ChannelsFirst,
    ChannelsLast,
}

impl GraphModel {
    /// The last value before the output that is a batch of images [B, C, H, W] with H·W > 1, found
    /// by a run on the first of the images x: where the CAM family looks unless told otherwise.
    ///
    /// A value counts as images if it is computed from images with no reshape between them:
    /// convolutions, pools, norms, functions of elements, concatenations. A transformer's tokens
    /// are no images, and the value is then what cuts the image into patches.
    ///
    /// # Errors
    /// If x does not fit, or there is no such value.
    pub fn last_spatial(&self, x: &Tensor) -> Result<ValueId> {
        check_input(x)?;
        let known = self.last_spatial.get().filter(|(shape, _)| shape[..] == x.dims()[1..]);
        if let Some(&(_, value)) = known {
            return Ok(value);
        }
        let value = self.find_last_spatial(&x.narrow(0, 0, 1)?)?;
        self.last_spatial.get_or_init(|| (x.dims()[1..].to_vec(), value));
        Ok(value)
    }

    fn find_last_spatial(&self, x: &Tensor) -> Result<ValueId> {
        let (model, _) = self.of_one_output(0)?;
        let trace = Trace::new(&model, x)?;
        let mut layouts = BTreeMap::new();
        if x.rank() == 4 {
            layouts.insert(self.input, Layout::ChannelsFirst);
        }
        let mut last = None;
        for &id in self.needed.iter() {
            let node = self.node(id);
            for &value in node.outputs.iter().filter(|id| trace.is_active(**id)) {
                let Some(layout) = layout(node, &layouts, trace.get(value)?) else { continue };
                layouts.insert(value, layout);
                let (_, _, height, width) = trace.get(value)?.dims4()?;
                let is_map = layout == Layout::ChannelsFirst && height * width > 1;
                last = if is_map && value != self.output { Some(value) } else { last };
            }
        }
        last.ok_or_else(|| Error::Place {
            name: self.graph.value(self.output).name.clone(),
            reason: "no value before it is a batch of images [B, C, H, W] of more than one pixel"
                .into(),
        })
    }
}

/// How a node's output lies in memory, if it is images.
fn layout(node: &Node, known: &BTreeMap<ValueId, Layout>, output: &Tensor) -> Option<Layout> {
    let of_input = node.inputs.iter().flatten().find_map(|id| known.get(id).copied());
    if output.rank() != 4 {
        return None;
    }
    match &node.op {
        Op::Transpose { order: Some(order) } => match (of_input?, &order[..]) {
            (Layout::ChannelsFirst, [0, 2, 3, 1]) => Some(Layout::ChannelsLast),
            (Layout::ChannelsLast, [0, 3, 1, 2]) => Some(Layout::ChannelsFirst),
            _ => None,
        },
        Op::Reshape { .. }
        | Op::Flatten { .. }
        | Op::Transpose { .. }
        | Op::Squeeze
        | Op::Unsqueeze
        | Op::Expand => None,
        // A matrix product mixes the last dimension.
        Op::MatMul => of_input.filter(|layout| *layout == Layout::ChannelsLast),
        _ => of_input,
    }
}
