//! DeepLIFT (Shrikumar, Greenside & Kundaje, 2017): its rules, and what it finds.

use candle_core::Tensor;

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

/// Options of [`GraphModel::deep_lift`](crate::GraphModel::deep_lift).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeepLift {
    /// For ReLUs that no other entry is for. Default rescale.
    pub rule: DeepLiftRule,
    /// For ReLUs by name.
    pub named: Vec<(String, DeepLiftRule)>,
}

impl DeepLift {
    /// The rule of a ReLU.
    pub(crate) fn rule(&self, name: &str) -> DeepLiftRule {
        let named = self.named.iter().find(|(layer, _)| layer == name);
        named.map_or(self.rule, |(_, rule)| *rule)
    }
}

/// An attribution, and how far it is from complete.
#[derive(Debug, Clone)]
pub struct DeepLiftResult {
    /// Of x's shape.
    pub attribution: Tensor,
    /// For each input, the sum of its attribution minus (f(x) - f(baseline)): 0 up to rounding.
    pub convergence_delta: Vec<f64>,
}
