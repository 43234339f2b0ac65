//! One output of a network alone.

use candle_core::Tensor;

use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, Origin, ValueId};
use crate::op::{Op, Reduction};

impl Graph {
    /// The same network with one of its outputs alone: `output` is [B, 1] instead of [B, K], with
    /// what was in column `index`, and what computes other columns only is left out. Also returned
    /// are the values that have another shape now. `None` if the network does not end in a linear
    /// layer or in the paper's heads, or if others read what they compute.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_graph::{Builder, Gemm, Op};
    ///
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![None, Some(2)])?;
    /// let weight = builder.weight("w", Tensor::new(&[[1f32, 1.], [1., -1.]], &Device::Cpu)?)?;
    /// let linear = Op::Gemm(Gemm { transpose_b: true, ..Gemm::default() });
    /// let y = builder.node("fc", linear, &[x, weight])?;
    /// let graph = builder.finish(vec![y])?;
    /// let (second, changed) = graph.with_one_output(y, 1)?.unwrap();
    /// let x = Tensor::new(&[[5f32, 3.]], &Device::Cpu)?;
    /// assert_eq!(second.forward(&[x])?[0].to_vec2::<f32>()?, [[2.]]);
    /// assert_eq!(changed, [y]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such value, or a tensor operation fails.
    pub fn with_one_output(
        &self,
        output: ValueId,
        index: usize,
    ) -> Result<Option<(Self, Vec<ValueId>)>> {
        self.check_value(output)?;
        let Some(last) = self.producer(output).filter(|_| self.readers(output).next().is_none())
        else {
            return Ok(None);
        };
        let node = self.node(last);
        let changed = match &node.op {
            Op::Gemm(gemm) if !gemm.transpose_a => {
                self.narrowed(node, &[(1, usize::from(!gemm.transpose_b)), (2, 0)], index, 1)?
            }
            Op::Readout => return self.one_attribute(node, index),
            _ => None,
        };
        Ok(changed.map(|graph| (graph, vec![output])))
    }

    /// The heads of one attribute.
    fn one_attribute(&self, readout: &Node, index: usize) -> Result<Option<(Self, Vec<ValueId>)>> {
        let Some((heads, pool)) = self.heads_below(readout) else { return Ok(None) };
        let masks = self.node(heads);
        let Op::AttentionMasks(rows) = &masks.op else { return Ok(None) };
        let channels = rows.channels();
        let Some(graph) = self.narrowed(readout, &[(1, 0), (2, 0)], index, 1)? else {
            return Ok(None);
        };
        let start = index * channels;
        let Some(mut graph) = graph.narrowed(masks, &[(1, 0), (2, 0)], start, channels)? else {
            return Ok(None);
        };
        graph.nodes[heads.0].op = Op::AttentionMasks(rows.on_attributes(&[index]));
        let changed = [masks.outputs[0], self.node(pool).outputs[0], readout.outputs[0]];
        Ok(Some((graph, changed.to_vec())))
    }

    /// The masks whose means a readout reads, and the node of the means, if nothing else reads
    /// either.
    fn heads_below(&self, readout: &Node) -> Option<(NodeId, NodeId)> {
        let alone = |id: ValueId| {
            self.only_reader(id)?;
            self.producer(id)
        };
        let pool = alone(readout.input(0)?)?;
        let heads = alone(self.node(pool).input(0)?)?;
        let is_mean = match &self.node(pool).op {
            Op::Reduce(reduce) => {
                let pixels = [&[-2, -1][..], &[3, 4]];
                let axes = reduce.axes.as_deref().is_some_and(|axes| pixels.contains(&axes));
                reduce.kind == Reduction::Mean && axes && !reduce.keep_dims
            }
            _ => false,
        };
        is_mean.then_some((heads, pool))
    }

    /// The same graph with so many rows from `start` on of some inputs of a node, each of which is
    /// a weight that it alone reads; the second number of a place is the dimension. Inputs of one
    /// element are for all rows.
    fn narrowed(
        &self,
        node: &Node,
        places: &[(usize, usize)],
        start: usize,
        count: usize,
    ) -> Result<Option<Self>> {
        let mut graph = self.clone();
        for &(place, dimension) in places {
            let Some(id) = node.input(place) else { continue };
            let own = self.weight(id).filter(|_| self.only_reader(id).is_some());
            let Some(weight) = own else { return Ok(None) };
            if place > 1 && weight.elem_count() == 1 {
                continue;
            }
            let fits = weight.dims().get(dimension).is_some_and(|size| start + count <= *size);
            // A bias of several rows is for each input.
            if !fits || (place > 1 && weight.rank() != 1) {
                return Ok(None);
            }
            let rows: Tensor = weight.narrow(dimension, start, count)?.contiguous()?;
            graph.values[id.0].origin = Origin::Weight(rows);
        }
        Ok(Some(graph))
    }
}
