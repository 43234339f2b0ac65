//! DeepLIFT (Shrikumar, Greenside & Kundaje, 2017): differences from a baseline, layer by layer.

mod multipliers;
mod trace;

use candle_core::Tensor;

use crate::baseline::baseline_like;
use crate::error::{Error, Result};
use crate::layers::{Layer, Layers, find, layer_inputs, one_hot};
use crate::tensors::{check_finite, check_input, sum_per_input};
use multipliers::Multipliers;
use trace::Trace;
pub(crate) use trace::{gate_multiplier, ratio};

/// What a ReLU does with the difference of its input from the baseline's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeepLiftRule {
    /// The multiplier Δy/Δx for all of Δx (section 3.5.2 of the paper), as Captum's `DeepLift`.
    #[default]
    Rescale,
    /// Multipliers Δy⁺/Δx⁺ and Δy⁻/Δx⁻ of the positive and the negative contributions to Δx, with
    /// Δy⁺ = ½·(f(x₀ + Δx⁺) - f(x₀)) + ½·(f(x₀ + Δx⁻ + Δx⁺) - f(x₀ + Δx⁻)), and Δy⁻ likewise
    /// (section 3.5.3). The paper takes it for dense layers, and rescale for convolutions.
    RevealCancel,
}

/// Options of [`deep_lift`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeepLift {
    /// For ReLUs that no other entry is for. Default rescale.
    pub rule: DeepLiftRule,
    /// For ReLUs by name.
    pub named: Vec<(String, DeepLiftRule)>,
}

impl DeepLift {
    fn rule(&self, name: &str) -> DeepLiftRule {
        let named = self.named.iter().find(|(layer, _)| layer == name);
        named.map_or(self.rule, |(_, rule)| *rule)
    }

    /// Refuses rules for what is no ReLU.
    fn check(&self, layers: &Layers) -> Result<()> {
        for (name, _) in &self.named {
            let named = find(&layers.sequence, name)
                .ok_or_else(|| Error::NoLayer { name: name.clone(), layers: layers.names() })?;
            if !matches!(named.layer, Layer::LeakyRelu { .. }) {
                let reason = "it is no ReLU: only these have a choice of rules".into();
                return Err(Error::Layer { method: METHOD, layer: name.clone(), reason });
            }
        }
        Ok(())
    }
}

const METHOD: &str = "DeepLIFT";

/// An attribution, and how far it is from complete.
#[derive(Debug, Clone)]
pub struct DeepLiftResult {
    /// Of x's shape.
    pub attribution: Tensor,
    /// For each input, the sum of its attribution minus (f(x) - f(baseline)): 0 up to rounding.
    pub convergence_delta: Vec<f64>,
}

/// DeepLIFT of output `target` (Shrikumar et al., 2017): (x - x') ⊗ m for a baseline x', in which m
/// are the multipliers of the layers' differences, chained from the output back. The attribution
/// adds up to f(x) - f(x'). `baseline` as in
/// [`integrated_gradients`](crate::integrated_gradients()).
///
/// * Convolutions, linear layers, readouts and pooling by averages have the linear rule, ReLUs that
///   of the options. Where a ReLU's input does not differ from the baseline's, its multiplier is
///   the derivative.
/// * Pooling by maxima: with y = max of x's window, y' = max of the baseline's and t = max(y, y'),
///   the maximum of x's window gets t - y', and that of the baseline's y - t, as in Captum. Equal
///   maxima share; Captum gives all to the first.
/// * Masks ([`Layers::gate`]) M ⊗ z: ½(M + M')·Δz goes through the signal and ½(z + z')·ΔM through
///   the masks, the Shapley values of a product (shap's `DeepExplainer` has the same rule), and
///   ΔM through the sigmoid by rescale.
/// * A residual sum passes the multiplier to both sides.
///
/// In Captum a multiplier of a maximum's input without a difference is that of the first input of
/// the batch; here it is its own.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{DeepLift, Layers, deep_lift};
///
/// // f(x) = max(x₀ + x₁ - 1, 0).
/// let weight = Tensor::new(&[[1f64, 1.]], &Device::Cpu)?;
/// let bias = Tensor::new(&[-1f64], &Device::Cpu)?;
/// let layers = Layers::new().linear("sum", &weight, Some(&bias))?.relu("relu")?;
/// // From 0 to x the ReLU's input goes from -1 to 1, and f from 0 to 1: a multiplier of 1/2.
/// let x = Tensor::new(&[[1f64, 1.]], &Device::Cpu)?;
/// let found = deep_lift(&layers, &x, 0, None, &DeepLift::default())?;
/// assert_eq!(found.attribution.to_vec2::<f64>()?, [[0.5, 0.5]]);
/// assert_eq!(found.convergence_delta, [0.]);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If a layer was put in by [`Layers::other`], a rule is for a layer that is no ReLU or not there,
/// the baseline does not fit, there is no such output, or the attribution is not finite.
pub fn deep_lift(
    layers: &Layers,
    x: &Tensor,
    target: usize,
    baseline: Option<&Tensor>,
    options: &DeepLift,
) -> Result<DeepLiftResult> {
    options.check(layers)?;
    check_input(x)?;
    let x = &x.detach().contiguous()?;
    let baseline = baseline_like(x, baseline)?;
    let (narrow, index) = layers.with_one_output(target)?;
    let n = x.dim(0)?;
    let mut attributions = vec![];
    let mut convergence_delta = vec![];
    for start in (0..n).step_by(layers.batch) {
        let rows = layers.batch.min(n - start);
        let trace = Trace {
            layers: &narrow.sequence,
            at_x: layer_inputs(&narrow.sequence, &x.narrow(0, start, rows)?)?,
            at_baseline: layer_inputs(&narrow.sequence, &baseline.narrow(0, start, rows)?)?,
            options,
        };
        let outputs = narrow.sequence.len();
        let one = one_hot(&trace.at_x[outputs], index, target)?;
        let expected = sum_per_input(&(trace.change(outputs)? * &one)?)?;
        let change = trace.change(0)?;
        let multiplier = trace.through_all(Multipliers::One(one))?.merged(&change)?;
        let attribution = (multiplier * change)?;
        let sums = sum_per_input(&attribution)?;
        convergence_delta.extend(sums.iter().zip(expected).map(|(sum, f)| sum - f));
        attributions.push(attribution);
    }
    let attribution = check_finite(Tensor::cat(&attributions, 0)?, || "the attribution".into())?;
    Ok(DeepLiftResult { attribution, convergence_delta })
}
