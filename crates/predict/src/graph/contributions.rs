//! What each channel contributes to each output, to first order.

use candle_core::{DType, Tensor, Var};
use foresee_graph::{ChannelGroup, Graph, NodeId, Read, ValueId};
use foresee_stats::Matrix;

use crate::error::{Error, Result};

/// What each unit of a group of channels contributes to each output on each image: Σ a·∂f/∂a over
/// the activations a of the unit where nodes read them (the first term of a Taylor expansion around
/// the network as it is; Molchanov et al., 2017). If f were linear in them, taking the unit away
/// would change f by just -1 times this.
#[derive(Debug, Clone, PartialEq)]
pub struct Contributions {
    images: usize,
    units: usize,
    outputs: usize,
    /// [images, units, outputs].
    values: Vec<f64>,
}

impl Contributions {
    /// Those of a group to these outputs, on batches of images [B, ...] for a graph with one input
    /// and a first output [B, K]. One pass back for each output and batch.
    ///
    /// # Errors
    /// If the graph fails, its result has another shape, or a node reads the channels in a tensor
    /// whose first dimension is not the batch.
    pub fn measure(
        graph: &Graph,
        group: &ChannelGroup,
        batches: &[Tensor],
        outputs: &[usize],
    ) -> Result<Self> {
        let failed = || Error::of_model(&format!("the contributions of `{}`", group.name));
        let places: Vec<(NodeId, usize)> = group
            .reads
            .iter()
            .flat_map(|read| read.consumers.iter().map(|consumer| (consumer.node, consumer.input)))
            .collect();
        let (tapped, taps) = graph.with_taps(&places).map_err(failed())?;
        let of_unit: Vec<Units> = group
            .reads
            .iter()
            .flat_map(|read| read.consumers.iter().map(|_| Units::new(read)))
            .collect();
        let mut all =
            Self { images: 0, units: group.units, outputs: outputs.len(), values: vec![] };
        for images in batches {
            let taken = Taken::new(&tapped, &taps, images).map_err(failed())?;
            let first = all.values.len();
            let size = taken.images * all.units * all.outputs;
            all.values.resize(first + size, 0.);
            all.images += taken.images;
            let values = &mut all.values[first..];
            for (place, &output) in outputs.iter().enumerate() {
                let shares = taken.shares(output).map_err(Error::of_model(&group.name))?;
                for (shares, units) in shares.iter().zip(&of_unit) {
                    units.add(shares, values, (all.units, all.outputs, place))?;
                }
            }
        }
        Ok(all)
    }

    /// The number of images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// What taking these units away would change, to first order: [images, outputs].
    pub fn change(&self, units: &[usize]) -> Matrix {
        let of = |image: usize, output: usize| {
            -units.iter().map(|&unit| self.get(image, unit, output)).sum::<f64>()
        };
        Matrix::from_fn(self.images, self.outputs, of)
    }

    /// What one unit contributes to one output on one image.
    pub fn get(&self, image: usize, unit: usize, output: usize) -> f64 {
        self.values[(image * self.units + unit) * self.outputs + output]
    }

    /// The mean of |contribution| over the images, [units, outputs].
    pub fn mean_size(&self) -> Matrix {
        let of = |unit: usize, output: usize| {
            let sizes = (0..self.images).map(|image| self.get(image, unit, output).abs());
            sizes.sum::<f64>() / self.images.max(1) as f64
        };
        Matrix::from_fn(self.units, self.outputs, of)
    }
}

/// The activations that are taken from a batch, and the outputs computed from them.
struct Taken {
    images: usize,
    activations: Vec<Var>,
    logits: Tensor,
}

impl Taken {
    fn new(graph: &Graph, taps: &[ValueId], images: &Tensor) -> foresee_graph::Result<Self> {
        let input = graph.inputs().iter().copied();
        let given: Vec<(ValueId, Tensor)> = input.map(|id| (id, images.clone())).collect();
        let activations = graph.evaluate(&given, taps)?;
        let activations = activations
            .iter()
            .map(|activation| Var::from_tensor(&activation.detach()))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let taken = taps.iter().zip(&activations).map(|(id, var)| (*id, var.as_tensor().clone()));
        let given: Vec<(ValueId, Tensor)> = given.into_iter().chain(taken).collect();
        let logits = graph.evaluate(&given, &graph.outputs()[..1])?.remove(0);
        Ok(Self { images: images.dim(0)?, activations, logits })
    }

    /// a·∂f/∂a of one output, for each of the taken activations.
    fn shares(&self, output: usize) -> candle_core::Result<Vec<Tensor>> {
        let f = self.logits.narrow(1, output, 1)?.sum_all()?;
        let gradients = f.backward()?;
        let share = |a: &Var| match gradients.get(a) {
            Some(gradient) => a.as_tensor().detach() * gradient.detach(),
            None => a.zeros_like(),
        };
        self.activations.iter().map(share).collect()
    }
}

/// The unit of each place on an axis.
struct Units {
    axis: usize,
    of_place: Vec<Option<usize>>,
}

impl Units {
    fn new(read: &Read) -> Self {
        let mut of_channel = vec![None; read.channels];
        for (unit, channels) in read.units.iter().enumerate() {
            channels.iter().for_each(|&channel| of_channel[channel] = Some(unit));
        }
        let of_place = read.places.iter().map(|&channel| of_channel[channel]).collect();
        Self { axis: read.axis, of_place }
    }

    /// Adds shares [B, ...] to contributions [B, units, outputs] to one output.
    fn add(
        &self,
        shares: &Tensor,
        values: &mut [f64],
        (units, outputs, output): (usize, usize, usize),
    ) -> Result<()> {
        let failed = || Error::of_model("the sum of contributions");
        let images = values.len() / (units * outputs);
        if shares.dims().first() != Some(&images) || self.axis == 0 {
            return Err(Error::Shape {
                what: "an activation whose channels are pruned".into(),
                expected: format!("[{images}, ...], a row for each image"),
                got: format!("{:?}", shares.dims()),
            });
        }
        let others: Vec<usize> = (1..shares.rank()).filter(|axis| *axis != self.axis).collect();
        let sums = match others.is_empty() {
            true => Ok(shares.clone()),
            false => shares.sum(others),
        };
        let sums = sums.and_then(|sums| sums.to_dtype(DType::F64)?.to_vec2::<f64>());
        for (image, places) in sums.map_err(failed())?.iter().enumerate() {
            for (place, share) in places.iter().enumerate() {
                if let Some(unit) = self.of_place[place % self.of_place.len()] {
                    values[(image * units + unit) * outputs + output] += share;
                }
            }
        }
        Ok(())
    }
}
