//! What can be computed once: nodes whose inputs are all weights.

use candle_core::Tensor;

use crate::dims::{self, elements};
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, Origin, ValueId};
use crate::numbers::{integers, scalar};
use crate::op::{Op, Scalar};

/// Results up to this size are folded.
const SMALL: usize = 64 << 20;

/// Weights that `ConstantOfShape` makes are folded up to this size, each and together with all
/// results that are larger than their inputs.
const LARGE: usize = 2 << 30;

impl Graph {
    /// The same graph, in which what depends on weights alone is a weight:
    ///
    /// - A node that gives its input as it is (`Identity`) disappears. If it gives an output, the
    ///   output keeps its name, and the value that it copied takes that name.
    /// - A node all of whose inputs are weights is computed, and its results are weights.
    ///   Convolutions, pools and resizing of weights, which networks do not have, stay nodes.
    /// - Nodes and weights that no output needs are removed.
    ///
    /// So that a small file does not become a large network, a result that is larger than the
    /// node's inputs together stays a node above 64 MiB, or, of `ConstantOfShape`, from which the
    /// whole weights of some files are made, above 2 GiB; and all such results together take
    /// 2 GiB at most. A shape that depends on the shape of an input stays computed, so that a batch
    /// of any size fits afterwards if it did before.
    ///
    /// # Errors
    /// If a node that is folded fails: it would fail for any input.
    pub fn fold_constants(&self) -> Result<Self> {
        self.fold_within(LARGE)
    }

    /// The same with at most `left` bytes for all results that are larger than their inputs.
    fn fold_within(&self, mut left: usize) -> Result<Self> {
        let mut graph = self.remove_unneeded()?;
        graph.remove_identities();
        for node in (0..graph.nodes.len()).map(NodeId) {
            graph.fold(node, &mut left)?;
        }
        graph.remove_unneeded()
    }

    fn remove_identities(&mut self) {
        for node in 0..self.nodes.len() {
            let node = &self.nodes[node];
            let (Op::Identity, Some(x), [y]) = (&node.op, node.input(0), &node.outputs[..]) else {
                continue;
            };
            let y = *y;
            if !self.is_output(y) {
                self.read_instead(y, x);
            } else if self.producer(x).is_some() && !self.is_output(x) {
                self.swap_names(x, y);
                self.read_instead(y, x);
            }
        }
    }

    fn swap_names(&mut self, a: ValueId, b: ValueId) {
        let name = std::mem::take(&mut self.values[a.0].name);
        self.values[a.0].name = std::mem::replace(&mut self.values[b.0].name, name);
    }

    /// Computes a node, if all of its inputs are weights and its results not too large. `left`
    /// bytes are left for results that are larger than the inputs.
    fn fold(&mut self, id: NodeId, left: &mut usize) -> Result<()> {
        let node = &self.nodes[id.0];
        let Some(inputs) = self.constant_inputs(node) else { return Ok(()) };
        let Some(growth) = growth(&node.op, &inputs, *left) else { return Ok(()) };
        *left -= growth;
        let results = node.run(&inputs)?;
        for (value, result) in node.outputs.clone().into_iter().zip(results) {
            self.values[value.0].origin = Origin::Weight(self.folded(&result)?);
        }
        Ok(())
    }

    /// A result as a weight: in the type and on the device of the graph's, and laid out once
    /// instead of in each pass.
    fn folded(&self, result: &Tensor) -> Result<Tensor> {
        let (dtype, device) = self.float_type();
        let result = match result.dtype().is_float() {
            true => result.to_dtype(dtype)?.to_device(&device)?,
            false => result.clone(),
        };
        Ok(result.detach().contiguous()?)
    }

    /// A node's inputs, if all are weights.
    fn constant_inputs(&self, node: &Node) -> Option<Vec<Option<Tensor>>> {
        let weight = |id: &Option<ValueId>| match id {
            Some(id) => self.weight(*id).map(|weight| Some(weight.clone())),
            None => Some(None),
        };
        node.inputs.iter().map(weight).collect()
    }
}

/// By how many bytes a node's results can be larger than its inputs; `None` if it stays a node.
fn growth(op: &Op, inputs: &[Option<Tensor>], left: usize) -> Option<usize> {
    let bytes = |tensor: &Tensor| tensor.dtype().size_in_bytes();
    let sizes = || inputs.iter().flatten().map(bytes);
    let counts = inputs.iter().flatten().map(Tensor::elem_count);
    let before: usize = sizes().zip(counts).map(|(size, count)| size * count).sum();
    let (size, limit) = match op {
        Op::ConstantOfShape(Scalar::Float(_)) => (4, LARGE),
        Op::ConstantOfShape(_) | Op::Cast(_) | Op::ArgExtreme(_) => (8, SMALL),
        // The second input holds a shape, or places.
        Op::Expand | Op::Tile | Op::Pad(_) | Op::Gather { .. } | Op::GatherNd => {
            (bytes(inputs.first()?.as_ref()?), SMALL)
        }
        _ => (sizes().max()?, SMALL),
    };
    let after = largest(op, inputs)?.checked_mul(size)?;
    let growth = after.saturating_sub(before);
    (growth == 0 || after <= limit && growth <= left).then_some(growth)
}

/// How many elements a node's results have together at most; `None` if that is not known here, or
/// more than can be counted.
fn largest(op: &Op, inputs: &[Option<Tensor>]) -> Option<usize> {
    let input = |place: usize| inputs.get(place).and_then(Option::as_ref);
    let sizes = |place: usize| input(place).and_then(sizes);
    let x = input(0)?;
    let count = x.elem_count();
    match op {
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Pool(_) | Op::Resize(_) => None,
        Op::GatherNd => {
            let indices = input(1)?;
            let named = *indices.dims().last()?;
            let part = elements(x.dims().get(named..)?)?;
            (indices.elem_count() / named.max(1)).checked_mul(part)
        }
        Op::AttentionMasks(_) => None,
        Op::ConstantOfShape(_) => elements(&sizes(0)?),
        Op::Expand => elements(&dims::broadcast(x.dims(), &sizes(1)?)?),
        Op::Tile => count.checked_mul(elements(&sizes(1)?)?),
        Op::Pad(_) => padded(x.dims(), &integers(input(1)?)?),
        Op::Range => {
            let number = |place| input(place).and_then(scalar);
            let steps = ((number(1)? - number(0)?) / number(2)?).ceil().max(0.);
            (steps < LARGE as f64).then_some(steps as usize)
        }
        Op::Gather { axis } => {
            let indexed = x.dims()[dims::axis(*axis as i64, x.rank())?];
            input(1)?.elem_count().checked_mul(count / indexed.max(1))
        }
        Op::MatMul | Op::Gemm(_) => {
            let turned = matches!(op, Op::Gemm(gemm) if gemm.transpose_a);
            let inner = if turned { x.dims().first() } else { x.dims().last() };
            let inner = (*inner?).max(1);
            (count / inner).checked_mul(input(1)?.elem_count() / inner)
        }
        Op::Binary(_) | Op::Where | Op::Variadic(_) | Op::Clip => {
            let mut all = inputs.iter().flatten().map(Tensor::dims);
            let sizes = all.try_fold(vec![], |so_far, dims| dims::broadcast(&so_far, dims));
            // Shapes that do not fit are an error when the node runs.
            sizes.map_or(Some(0), |sizes| elements(&sizes))
        }
        _ => Some(inputs.iter().flatten().map(Tensor::elem_count).sum()),
    }
}

/// The sizes that a tensor holds.
fn sizes(tensor: &Tensor) -> Option<Vec<usize>> {
    integers(tensor)?.into_iter().map(|size| usize::try_from(size).ok()).collect()
}

/// An upper bound on the elements of a tensor of this shape with these pads, whatever their axes.
fn padded(shape: &[usize], pads: &[i64]) -> Option<usize> {
    let grown: u64 = pads.iter().map(|pad| pad.unsigned_abs()).try_fold(0u64, u64::checked_add)?;
    let grown = usize::try_from(grown).ok()?;
    shape.iter().try_fold(1usize, |all, size| all.checked_mul(size.checked_add(grown)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Builder;
    use candle_core::Device;

    /// All results together are bounded: what does not fit any more stays a node.
    #[test]
    fn many_results_are_bounded_together() -> Result<()> {
        let mut builder = Builder::new();
        let mut made = vec![];
        for name in ["a", "b", "c"] {
            let shape = Tensor::new(&[1000i64], &Device::Cpu)?;
            let shape = builder.weight(&format!("{name}_shape"), shape)?;
            made.push(builder.node(name, Op::ConstantOfShape(Scalar::Float(1.)), &[shape])?);
        }
        let graph = builder.finish(made)?;
        // A result has 4000 bytes, and its shape 8.
        for (left, names) in [(3 * 3992, vec![]), (3 * 3992 - 1, vec!["c"]), (4000, vec!["b", "c"])]
        {
            let folded = graph.fold_within(left)?;
            let nodes: Vec<&str> = folded.nodes().map(|(_, node)| node.name.as_str()).collect();
            assert_eq!(nodes, names);
        }
        Ok(())
    }
}
