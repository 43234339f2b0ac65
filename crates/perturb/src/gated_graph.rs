//! The mask transformation on any network that has gates.

use candle_core::{DType, Error, Result, Tensor};
use foresee_graph::{Gate, Graph, ValueId};
use foresee_kernels::ToneCurve;

use crate::model::GatedModel;

/// A network as a graph, and those of its gates that tone curves transform (Eq. 13 of the paper, on
/// whatever gates a network has).
///
/// A curve is told the gate's place among these gates as the attribute, and the second index of the
/// gate's tensor as the channel: its channel in a squeeze-and-excitation block [B, C, 1, 1], its
/// head in an attention [B, heads, T, T]. Gates that come later see what the transformed ones
/// before them changed. Where a softmax's gates are transformed they need not sum to 1 any more.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_graph::{Binary, Builder, Op, Unary};
/// use foresee_perturb::{GatedGraph, GatedModel, Identity, PowerCurve};
///
/// let mut builder = Builder::new();
/// let x = builder.input("x", vec![None, Some(2)])?;
/// let half = builder.weight("half", Tensor::new(0.5f32, &Device::Cpu)?)?;
/// let scaled = builder.node("scaled", Op::Binary(Binary::Mul), &[x, half])?;
/// let gate = builder.node("gate", Op::Unary(Unary::Sigmoid), &[scaled])?;
/// let y = builder.node("y", Op::Binary(Binary::Mul), &[x, gate])?;
/// let graph = builder.finish(vec![y])?;
///
/// let model = GatedGraph::new(&graph, graph.gates())?;
/// let x = Tensor::new(&[[0f32, 20.]], &Device::Cpu)?;
/// // n = 1, β = 1: g = 2·M - 1. The gates are 0.5 and 1.
/// let curve = PowerCurve::new(1., 1.)?;
/// let logits = model.logits_with_curves(&model.features(&x)?, &[&Identity, &curve])?;
/// assert!((logits[1].to_vec2::<f32>()?[0][1] - 20.).abs() < 1e-2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct GatedGraph<'a> {
    graph: &'a Graph,
    input: ValueId,
    output: ValueId,
    gates: Vec<Gate>,
}

impl<'a> GatedGraph<'a> {
    /// The first output of a network with one input, under curves on these of its
    /// [`gates`](Graph::gates).
    ///
    /// # Errors
    /// If the network has several inputs, or a gate is of another graph: one that was changed after
    /// its gates were found numbers its values anew.
    pub fn new(graph: &'a Graph, gates: Vec<Gate>) -> crate::Result<Self> {
        let own = graph.gates();
        if let Some(gate) = gates.iter().position(|gate| !own.contains(gate)) {
            return Err(crate::Error::OtherGates { gate });
        }
        match *graph.inputs() {
            [input] => Ok(Self { graph, input, output: graph.outputs()[0], gates }),
            ref inputs => Err(crate::Error::Parameter {
                parameter: "the number of inputs",
                value: inputs.len().to_string(),
                expected: "1: a tone curve is judged on images alone",
            }),
        }
    }

    fn logits_with_curve(&self, x: &Tensor, curve: &dyn ToneCurve) -> Result<Tensor> {
        let transform = |id: ValueId, value: &Tensor| {
            let number = self.gates.iter().position(|gate| gate.value == id);
            let transformed = number.map(|number| apply(curve, number, value)).transpose();
            Ok(transformed?)
        };
        let given = [(self.input, x.clone())];
        let wanted = [self.output];
        let outputs = match curve.is_identity() {
            true => self.graph.evaluate(&given, &wanted),
            false => self.graph.evaluate_mapped(&given, &wanted, &transform),
        };
        let [logits] = outputs.map_err(Error::wrap)?.try_into().expect("one value was wanted");
        Ok(logits.detach())
    }
}

impl GatedModel for GatedGraph<'_> {
    /// The images themselves: gates may come anywhere.
    fn features(&self, images: &Tensor) -> Result<Tensor> {
        Ok(images.clone())
    }

    fn logits_with_curves(
        &self,
        features: &Tensor,
        curves: &[&dyn ToneCurve],
    ) -> Result<Vec<Tensor>> {
        curves.iter().map(|curve| self.logits_with_curve(features, *curve)).collect()
    }
}

/// A gate's tensor [B, C, ...] under a curve.
fn apply(curve: &dyn ToneCurve, gate: usize, value: &Tensor) -> Result<Tensor> {
    let mut values = value.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    let channels = value.dims().get(1).copied().unwrap_or(1);
    let plane = value.dims().iter().skip(2).product::<usize>();
    if plane > 0 && channels > 0 {
        for (number, plane) in values.chunks_exact_mut(plane).enumerate() {
            curve.apply(gate, number % channels, plane);
        }
    }
    Tensor::from_vec(values, value.shape(), value.device())?.to_dtype(value.dtype())
}
