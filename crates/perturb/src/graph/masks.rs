//! Derivatives with respect to masks on units.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::Tensor;
use foresee_graph::{ChannelGroup, Consumer, Graph, Node, NodeId, Op, Read, ValueId};

use crate::error::{Error, Result};

/// A network f(m) with a mask m_u on each unit u of some groups: whatever nodes read of the unit's
/// channels is multiplied by m_u. f(1) is the network as it is, and m_u = 0 prunes the unit.
///
/// [`UnitGradients`](crate::UnitGradients) are the exact derivatives ∂f/∂m_u at m = 1, through all
/// paths: Σ a·∂f/∂a over the activations a of the unit, wherever a node reads them. ∂f/∂a counts
/// what an activation does to later layers of the same group too, as in a residual or dense
/// network.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_graph::{Builder, Op};
/// use foresee_perturb::UnitMasks;
///
/// // y = x·[1 2]·[10, 20]ᵀ.
/// let mut builder = Builder::new();
/// let x = builder.input("x", vec![None, Some(1)])?;
/// let a = builder.weight("a", Tensor::new(&[[1f32, 2.]], &Device::Cpu)?)?;
/// let b = builder.weight("b", Tensor::new(&[[10f32], [20.]], &Device::Cpu)?)?;
/// let hidden = builder.node("hidden", Op::MatMul, &[x, a])?;
/// let y = builder.node("y", Op::MatMul, &[hidden, b])?;
/// let graph = builder.finish(vec![y])?;
/// let groups = graph.channel_groups(&[])?;
///
/// let masks = UnitMasks::new(&graph, &[&groups[0]])?;
/// let pass = masks.pass(&[Tensor::new(&[[1f32], [3.]], &Device::Cpu)?])?;
/// let gradients = pass.gradients(&pass.outputs()[0].sum_all()?)?;
/// // For each image, what each unit contributes to y.
/// assert_eq!(gradients.of_group(0)?, [[10., 40.], [30., 120.]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UnitMasks<'a> {
    groups: Vec<&'a ChannelGroup>,
    /// The graph, in which what each node reads is a value of its own.
    pub(super) graph: Graph,
    pub(super) taps: Vec<Tap>,
    /// What convolutions compute that read channels with a weight, if its gradients are wanted.
    pub(super) sums: Vec<ValueId>,
    /// Whether the first axis of all that is read is the images.
    rows_are_images: OnceCell<bool>,
}

/// What a node reads.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) value: ValueId,
    /// Whose channels are read: a group, and one of its reads.
    pub(super) of: Vec<(usize, usize)>,
    /// The node's reading.
    pub(super) consumer: Consumer,
    /// How, if it is a convolution with a weight.
    pub(super) convolution: Option<Convolution>,
}

/// A convolution with a weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolution {
    pub(super) weight: ValueId,
    pub(super) output: ValueId,
    /// The product of its strides if it is transposed.
    pub(super) transposed: Option<usize>,
}

impl<'a> UnitMasks<'a> {
    /// For groups of this graph.
    ///
    /// # Errors
    /// If a group is of another graph.
    pub fn new(graph: &Graph, groups: &[&'a ChannelGroup]) -> Result<Self> {
        let mut taps: BTreeMap<(NodeId, usize), Tap> = BTreeMap::new();
        for (number, group) in groups.iter().enumerate() {
            for (read, reads) in group.reads.iter().enumerate() {
                for consumer in &reads.consumers {
                    let tap = taps.entry((consumer.node, consumer.input));
                    tap.or_insert_with(|| Tap::new(graph, reads, consumer)).of.push((number, read));
                }
            }
        }
        let places: Vec<(NodeId, usize)> = taps.keys().copied().collect();
        let (graph, values) = graph.with_taps(&places)?;
        let taps = taps.into_values().zip(values).map(|(tap, value)| Tap { value, ..tap });
        Ok(Self {
            groups: groups.to_vec(),
            graph,
            taps: taps.collect(),
            sums: vec![],
            rows_are_images: OnceCell::new(),
        })
    }

    /// The same, with what takeovers in a [`TakeoverDirection`](crate::TakeoverDirection) need: the
    /// gradients of what convolutions compute. It costs the memory of that once more.
    #[must_use]
    pub fn for_takeovers(mut self) -> Self {
        self.sums = self.taps.iter().filter_map(|tap| Some(tap.convolution?.output)).collect();
        self.sums.sort_unstable();
        self.sums.dedup();
        self
    }

    /// The outputs at other masks: m on these units of some groups, each by its place in the list,
    /// and 1 elsewhere.
    ///
    /// # Errors
    /// If there is no such group or unit, an input does not fit, or a node fails.
    pub fn outputs_at(
        &self,
        inputs: &[Tensor],
        masked: &[(usize, &[usize])],
        m: f64,
    ) -> Result<Vec<Tensor>> {
        self.check(masked)?;
        let masked = |id: ValueId, value: &Tensor| {
            let tap = self.taps.iter().find(|tap| tap.value == id);
            let mut result = None;
            for &(group, read) in tap.iter().flat_map(|tap| &tap.of) {
                for (_, units) in masked.iter().filter(|(of, _)| *of == group) {
                    let mask = mask(&self.groups[group].reads[read], units, m, value)?;
                    result = Some(result.as_ref().unwrap_or(value).broadcast_mul(&mask)?);
                }
            }
            Ok(result)
        };
        let given = self.graph.given(inputs)?;
        let outputs = self.graph.evaluate_mapped(&given, self.graph.outputs(), &masked)?;
        Ok(outputs.into_iter().map(|output| output.detach()).collect())
    }

    /// Makes sure that there are these units of these groups.
    pub(super) fn check(&self, units: &[(usize, &[usize])]) -> Result<()> {
        units.iter().try_for_each(|&(group, units)| check_units(self.group(group)?, units))
    }

    pub(super) fn group(&self, number: usize) -> Result<&'a ChannelGroup> {
        self.groups.get(number).copied().ok_or_else(|| Error::Group {
            group: number.to_string(),
            problem: "there is no such group in the list",
        })
    }

    pub(super) fn given(
        &self,
        inputs: &[Tensor],
        images: &Range<usize>,
    ) -> Result<Vec<(ValueId, Tensor)>> {
        let part = |input: &Tensor| input.narrow(0, images.start, images.len());
        let parts = inputs.iter().map(part).collect::<candle_core::Result<Vec<_>>>()?;
        Ok(self.graph.given(&parts)?)
    }

    /// Whether all that is read has a row for each image: [n, ...] for n images. What it has for
    /// one and for two decides.
    pub(super) fn rows_are_images(&self, inputs: &[Tensor], images: usize) -> Result<bool> {
        if images < 2 {
            return Ok(true);
        }
        if let Some(known) = self.rows_are_images.get() {
            return Ok(*known);
        }
        let values: Vec<ValueId> = self.taps.iter().map(|tap| tap.value).collect();
        let read = |count| -> Result<Vec<Tensor>> {
            Ok(self.graph.evaluate(&self.given(inputs, &(0..count))?, &values)?)
        };
        let (one, two) = (read(1)?, read(2)?);
        let is_row = |(one, two): (&Tensor, &Tensor)| match (one.dims(), two.dims()) {
            ([1, one @ ..], [2, two @ ..]) => one == two,
            _ => false,
        };
        Ok(*self.rows_are_images.get_or_init(|| one.iter().zip(&two).all(is_row)))
    }
}

impl Tap {
    fn new(graph: &Graph, read: &Read, consumer: &Consumer) -> Self {
        let convolution = Convolution::new(graph.node(consumer.node), consumer);
        Self { value: read.value, of: vec![], consumer: consumer.clone(), convolution }
    }
}

impl Convolution {
    fn new(node: &Node, consumer: &Consumer) -> Option<Self> {
        let transposed = match &node.op {
            Op::Conv(_) => None,
            Op::ConvTranspose(settings) => Some(settings.window.stride.iter().product()),
            _ => return None,
        };
        let (weight, output) = (consumer.weight?.value, *node.outputs.first()?);
        Some(Self { weight, output, transposed })
    }
}

/// Makes sure that a group has these units.
pub(super) fn check_units(group: &ChannelGroup, units: &[usize]) -> Result<()> {
    match units.iter().find(|&&unit| unit >= group.units) {
        Some(&unit) => {
            let (group, units) = (group.name.clone(), group.units);
            Err(foresee_graph::Error::NoUnit { group, unit, units }.into())
        }
        None => Ok(()),
    }
}

/// m at the places of some units on a read's axis, and 1 elsewhere.
fn mask(read: &Read, units: &[usize], m: f64, value: &Tensor) -> candle_core::Result<Tensor> {
    let mut mask = vec![1.; value.dim(read.axis)?];
    read.places_of(units).into_iter().for_each(|place| mask[place] = m);
    let mut shape = vec![1; value.rank()];
    shape[read.axis] = mask.len();
    Tensor::from_vec(mask, shape, value.device())?.to_dtype(value.dtype())
}
