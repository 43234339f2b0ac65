//! Eq. 2: layer-wise relevance propagation (Bach et al., 2015).

mod composite;
mod linear;

pub use composite::{Bias, Composite, NormRule, ProductRule, Rule};

use candle_core::{D, Tensor};

use crate::error::{Error, Result};
use crate::layers::{
    Layer, Layers, NamedLayer, find, find_by, forward_all, layer_inputs, max_pool_gradient,
    one_hot, pool_windows, unpool,
};
use crate::tensors::{check_finite, check_input, sum_per_input};
pub(crate) use linear::{LinearLayer, LinearMap, Propagated, stabilized_ratio};

/// Where relevance went at a layer, one number for each input of the batch. The relevance of the
/// layer's outputs is `relevance + bias + stabilizer`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerSum {
    /// The layer.
    pub layer: String,
    /// Σ_i R_i over the layer's inputs.
    pub relevance: Vec<f64>,
    /// What its biases took.
    pub bias: Vec<f64>,
    /// What stabilisers took, and what had no contribution of its rule's sign to go to; with a
    /// stabiliser of 0 also that of units whose sum is exactly 0.
    pub stabilizer: Vec<f64>,
}

/// Relevance of an input.
#[derive(Debug, Clone)]
pub struct Relevance {
    /// Of x's shape.
    pub attribution: Tensor,
    /// f(x), which is the relevance of the output.
    pub output: Vec<f64>,
    /// Each layer, from the last to the first (Eq. 2).
    pub layers: Vec<LayerSum>,
}

/// Layer-wise relevance propagation of output `target`, starting from f(x).
///
/// ReLUs pass relevance unchanged; pooling by averages and sums with a branch distribute it by
/// contribution; pooling by maxima gives it to the maximum. Through the masks ([`Layers::gate`])
/// the signal z takes all relevance of M ⊗ z and the gate M none, as in gated units (Arras et al.,
/// 2017).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Composite, Layers, lrp};
///
/// // f(x) = max(x₀ + x₁, 0) - max(x₀ - x₁, 0).
/// let hidden = Tensor::new(&[[1f64, 1.], [1., -1.]], &Device::Cpu)?;
/// let output = Tensor::new(&[[1f64, -1.]], &Device::Cpu)?;
/// let layers = Layers::new().linear("hidden", &hidden, None)?.relu("relu")?;
/// let layers = layers.linear("output", &output, None)?;
/// // Hidden units 4 and 2 get relevance 4 and -2. Of these x₀ = 3 gets 3/4·4 + 3/2·(-2), and
/// // x₁ = 1 gets 1/4·4 - 1/2·(-2).
/// let x = Tensor::new(&[[3f64, 1.]], &Device::Cpu)?;
/// let found = lrp(&layers, &x, 0, &Composite::epsilon(0.))?;
/// assert_eq!(found.attribution.to_vec2::<f64>()?, [[0., 2.]]);
/// assert_eq!(found.output, [2.]);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If an option is outside its range, a name is of no layer, the input does not fit, a layer has no
/// rule (the error names it), or the relevance is not finite.
pub fn lrp(layers: &Layers, x: &Tensor, target: usize, composite: &Composite) -> Result<Relevance> {
    composite.check()?;
    check_input(x)?;
    for (name, _) in &composite.named {
        find(&layers.sequence, name)
            .ok_or_else(|| Error::NoLayer { name: name.clone(), layers: layers.names() })?;
    }
    let is_other = |named: &NamedLayer| matches!(named.layer, Layer::Other { .. });
    if let Some(named) = find_by(&layers.sequence, &is_other) {
        let reason = "no rule is known for it; build it of layers that have one".into();
        return Err(Error::Layer { method: "LRP", layer: named.name.clone(), reason });
    }
    let (narrow, index) = layers.with_one_output(target)?;
    let is_weighted =
        |named: &NamedLayer| matches!(named.layer, Layer::Conv2d { .. } | Layer::Linear { .. });
    let first = find_by(&narrow.sequence, &is_weighted).map_or("", |named| &named.name);
    let pass = BackwardPass { composite, first };
    let mut attributions = vec![];
    let mut output = vec![];
    let mut sums = Vec::<LayerSum>::new();
    let n = x.dim(0)?;
    for start in (0..n).step_by(layers.batch) {
        let x = x.narrow(0, start, layers.batch.min(n - start))?;
        let inputs = layer_inputs(&narrow.sequence, &x)?;
        let outputs = &inputs[narrow.sequence.len()];
        let r = (outputs * one_hot(outputs, index, target)?)?;
        output.extend(sum_per_input(&r)?);
        let mut of_batch = vec![];
        attributions.push(pass.through_all(&narrow.sequence, &inputs, r, &mut of_batch)?);
        append(&mut sums, of_batch);
    }
    let attribution = check_finite(Tensor::cat(&attributions, 0)?, || "the relevance".into())?;
    Ok(Relevance { attribution, output, layers: sums })
}

/// Appends the inputs of another batch to the sums of the same layers.
fn append(sums: &mut Vec<LayerSum>, of_batch: Vec<LayerSum>) {
    if sums.is_empty() {
        *sums = of_batch;
        return;
    }
    for (sum, more) in sums.iter_mut().zip(of_batch) {
        sum.relevance.extend(more.relevance);
        sum.bias.extend(more.bias);
        sum.stabilizer.extend(more.stabilizer);
    }
}

struct BackwardPass<'a> {
    composite: &'a Composite,
    /// The name of the first convolution or linear layer.
    first: &'a str,
}

impl BackwardPass<'_> {
    /// Relevance r of the last layer's output, down to the input of the first; what each layer does
    /// with it is pushed to `sums`.
    fn through_all(
        &self,
        layers: &[NamedLayer],
        inputs: &[Tensor],
        r: Tensor,
        sums: &mut Vec<LayerSum>,
    ) -> Result<Tensor> {
        layers.iter().zip(inputs).rev().try_fold(r, |r, (named, x)| {
            let propagated = self.through(named, x, &r, sums)?;
            sums.push(LayerSum {
                layer: named.name.clone(),
                relevance: sum_per_input(&propagated.relevance)?,
                bias: propagated.bias,
                stabilizer: propagated.stabilizer,
            });
            Ok(propagated.relevance)
        })
    }

    fn through(
        &self,
        named: &NamedLayer,
        x: &Tensor,
        r: &Tensor,
        sums: &mut Vec<LayerSum>,
    ) -> Result<Propagated> {
        let stabilizer = self.composite.stabilizer;
        match &named.layer {
            layer @ (Layer::Conv2d { weight, bias, .. }
            | Layer::Linear { weight, bias }
            | Layer::Readout { weight, bias }) => {
                let is_conv = matches!(layer, Layer::Conv2d { .. });
                let rule = self.composite.rule(&named.name, is_conv, named.name == self.first);
                let (bias, takes) = (Some(bias), self.composite.bias);
                LinearLayer { map: layer, weight, bias, takes, stabilizer }.propagate(rule, x, r)
            }
            Layer::LeakyRelu { .. } => Propagated::lossless(r.clone()),
            Layer::Flatten => Propagated::lossless(r.reshape(x.shape())?),
            Layer::Gate { .. } => Propagated::lossless(r.sum(1)?),
            Layer::MaxPool { size } => {
                Propagated::lossless((unpool(r, *size, x)? * max_pool_gradient(x, *size)?)?)
            }
            Layer::AveragePool { size } => {
                let sum = pool_windows(x, *size)?.sum(D::Minus1)?;
                let (s, lost) = stabilized_ratio(r, &sum, stabilizer)?;
                without_bias((unpool(&s, *size, x)? * x)?, lost)
            }
            Layer::GlobalAveragePool => {
                let pixels = (x.dim(D::Minus1)? * x.dim(D::Minus2)?) as f64;
                let mean = x.mean((D::Minus2, D::Minus1))?;
                let (s, lost) = stabilized_ratio(r, &mean, stabilizer)?;
                let s = s.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)?;
                without_bias((x.broadcast_mul(&s)? / pixels)?, lost)
            }
            Layer::Residual(branch) => {
                let y = forward_all(branch, x)?;
                let (s, lost) = stabilized_ratio(r, &(x + &y)?, stabilizer)?;
                let inputs = layer_inputs(branch, x)?;
                let through = self.through_all(branch, &inputs, (y * &s)?, sums)?;
                // What the layers of the branch took is counted there.
                without_bias(((x * s)? + through)?, lost)
            }
            Layer::Other { .. } => unreachable!("`lrp` refuses these layers"),
        }
    }
}

fn without_bias(relevance: Tensor, stabilizer: Vec<f64>) -> Result<Propagated> {
    Ok(Propagated { bias: vec![0.; relevance.dim(0)?], relevance, stabilizer })
}
