//! What the weights say about channels.

use candle_core::{DType, Device, Tensor};

use super::ChannelGroup;
use super::blocks::Blocks;
use super::read::{InWeight, Read};
use crate::error::{Error, Result};
use crate::graph::{Graph, ValueId};

impl ChannelGroup {
    /// The filter norm of each unit: Σ |w| over the weights, of all nodes that compute its
    /// channels, that make them.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_graph::{Builder, Op};
    ///
    /// let mut builder = Builder::new();
    /// let x = builder.input("x", vec![None, Some(2)])?;
    /// let a = Tensor::new(&[[1f32, 2.], [-3., 4.]], &Device::Cpu)?;
    /// let a = builder.weight("a", a)?;
    /// let b = builder.weight("b", Tensor::new(&[[1f32, -5.], [2., 6.]], &Device::Cpu)?)?;
    /// let hidden = builder.node("hidden", Op::MatMul, &[x, a])?;
    /// let y = builder.node("y", Op::MatMul, &[hidden, b])?;
    /// let graph = builder.finish(vec![y])?;
    /// let group = &graph.channel_groups(&[])?[0];
    /// assert_eq!(group.filter_norms(&graph)?, [4., 6.]);
    /// assert_eq!(group.readout_norms(&graph)?, [6., 8.]);
    /// # Ok::<(), foresee_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the group is of another graph.
    pub fn filter_norms(&self, graph: &Graph) -> Result<Vec<f64>> {
        let mut norms = vec![0.; self.units];
        for producer in &self.producers {
            let place = &producer.place;
            let weight = float(graph, place.value)?;
            if weight.dims().get(place.axis) != Some(&place.size) {
                return Err(other_graph(place.value));
            }
            let by_place = weight.abs()?.transpose(0, place.axis)?.contiguous()?;
            let by_place = by_place.flatten_from(1)?.sum(1)?.to_vec1::<f64>()?;
            for (norm, places) in norms.iter_mut().zip(&place.units) {
                *norm += places.iter().map(|&place| by_place[place]).sum::<f64>();
            }
        }
        Ok(norms)
    }

    /// The readout norm of each unit: Σ |w| over the weights, of all nodes that read its channels,
    /// that they are multiplied by.
    ///
    /// # Errors
    /// If the group is of another graph.
    pub fn readout_norms(&self, graph: &Graph) -> Result<Vec<f64>> {
        let mut norms = vec![0.; self.units];
        for read in &self.reads {
            let by_channel = read.norms(graph)?;
            for (norm, channels) in norms.iter_mut().zip(&read.units) {
                *norm += channels.iter().map(|&channel| by_channel[channel]).sum::<f64>();
            }
        }
        Ok(norms)
    }
}

impl Read {
    /// Σ |w| over the weights of all nodes, for each channel.
    fn norms(&self, graph: &Graph) -> Result<Vec<f64>> {
        let mut norms = vec![0.; self.channels];
        for weight in self.weights(graph)? {
            let by_place = weight.abs()?.sum(1)?.sum(0)?.to_vec1::<f64>()?;
            for (&channel, norm) in self.places.iter().zip(by_place) {
                norms[channel] += norm;
            }
        }
        Ok(norms)
    }

    /// WᵀW `[blocks][channels][channels]`, summed over the weights W of all nodes, their taps, and
    /// the places of a channel.
    ///
    /// # Errors
    /// If the read is of another graph.
    pub fn gram(&self, graph: &Graph) -> Result<Vec<Vec<Vec<f64>>>> {
        let shape = (self.blocks, self.channels, self.channels);
        let mut gram = Tensor::zeros(shape, DType::F64, &Device::Cpu)?;
        for weight in self.weights(graph)? {
            for places in self.by_copy() {
                let of_copy = super::editor::select(&weight, 2, &places)?;
                gram = (gram + of_copy.t()?.contiguous()?.matmul(&of_copy)?)?;
            }
        }
        Ok(gram.to_vec3::<f64>()?)
    }

    /// The weights of all nodes as [blocks, rows, places], in f64.
    fn weights(&self, graph: &Graph) -> Result<Vec<Tensor>> {
        let weight = |&InWeight { value, axis, .. }: &InWeight| {
            let weight = float(graph, value)?;
            let blocks = Blocks::new(self, axis, weight.dims());
            blocks.ok_or_else(|| other_graph(value))?.cut(&weight)
        };
        let weights = self.consumers.iter().filter_map(|consumer| consumer.weight.as_ref());
        weights.map(weight).collect()
    }
}

/// A weight in f64 on the CPU.
fn float(graph: &Graph, id: ValueId) -> Result<Tensor> {
    let weight = graph.values.get(id.0).and_then(|_| graph.weight(id));
    let weight = weight.ok_or_else(|| other_graph(id))?;
    Ok(weight.to_device(&Device::Cpu)?.to_dtype(DType::F64)?)
}

fn other_graph(id: ValueId) -> Error {
    Error::OtherGraph { name: format!("value {}", id.0) }
}
