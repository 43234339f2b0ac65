//! Rules of LRP, and which layer takes which.

use candle_core::Tensor;

use crate::error::{Result, check};

/// How a convolution or linear layer distributes the relevance R_j of its outputs over its inputs,
/// x_i. w⁺, w⁻ are the positive and negative parts, (·)⁺, (·)⁻ of a contribution x_i·w_ij likewise.
/// Sums over i have the bias as one more contribution unless [`Bias::Ignore`] is chosen.
#[derive(Debug, Clone)]
pub enum Rule {
    /// R_i = Σ_j x_i·w_ij/(z_j + ε·sign z_j)·R_j, z_j = Σ_i x_i·w_ij.
    Epsilon {
        /// From 0.
        epsilon: f64,
    },
    /// Contributions that have the sign of the unit's output weigh 1 + γ (Montavon et al., 2019,
    /// generalised to inputs of either sign by Andéol et al., 2021).
    Gamma {
        /// From 0.
        gamma: f64,
    },
    /// R_i = Σ_j (α·(x_i·w_ij)⁺/Σ_i(x_i·w_ij)⁺ - β·(x_i·w_ij)⁻/Σ_i(x_i·w_ij)⁻)·R_j with α - β = 1.
    /// α = 1, β = 0 is z⁺.
    AlphaBeta {
        /// From 1.
        alpha: f64,
        /// α - 1.
        beta: f64,
    },
    /// z^B, for the first layer of inputs in a box (Montavon et al., 2017), with the contributions
    /// x_i·w_ij - l_i·w⁺_ij - h_i·w⁻_ij. As [`Composite::first`] the box is that of the network's
    /// input, and goes through the moves, sums and products with constants that come before the
    /// layer. Otherwise it is that of what the layer reads.
    ZBox {
        /// l, the least value of an input: of the shape [1, C, 1, 1] for images, or any that can be
        /// broadcast to x.
        low: Tensor,
        /// h, the greatest.
        high: Tensor,
    },
    /// All inputs of an output get the same share (Lapuschkin et al., 2019).
    Flat,
}

/// What a bias does with relevance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bias {
    /// It takes its share, as in Captum and, by default, zennit;
    /// [`LayerSum::bias`](crate::LayerSum::bias) says how much.
    #[default]
    Absorb,
    /// It is left out of the sums, and relevance is conserved: each layer's sum is f(x), up to what
    /// stabilisers take (zennit: `zero_params="bias"`). With [`Rule::Epsilon`] in several layers
    /// relevance can then be thousands of times f(x): a sum without its bias may be near 0 where
    /// the unit's output is not.
    Ignore,
}

/// A rule for every layer.
#[derive(Debug, Clone)]
pub struct Composite {
    /// For convolutions that no other entry is for.
    pub conv: Rule,
    /// For linear layers and readouts.
    pub linear: Rule,
    /// For the first convolution or linear layer, where it is another.
    pub first: Option<Rule>,
    /// For layers by name, before everything else.
    pub named: Vec<(String, Rule)>,
    /// ε of the denominators of all rules but [`Rule::Epsilon`], and of average pooling and sums.
    /// Default 1e-6.
    pub stabilizer: f64,
    /// Default [`Bias::Absorb`].
    pub bias: Bias,
}

impl Composite {
    /// One rule for every layer.
    pub fn new(rule: Rule) -> Self {
        Self {
            conv: rule.clone(),
            linear: rule,
            first: None,
            named: vec![],
            stabilizer: 1e-6,
            bias: Bias::default(),
        }
    }

    /// ε everywhere.
    pub fn epsilon(epsilon: f64) -> Self {
        Self::new(Rule::Epsilon { epsilon })
    }

    /// z⁺ for convolutions, ε = 1e-6 for linear layers (zennit's `EpsilonPlus`).
    pub fn epsilon_plus() -> Self {
        Self { conv: Rule::AlphaBeta { alpha: 1., beta: 0. }, ..Self::epsilon(1e-6) }
    }

    /// [`epsilon_plus`](Self::epsilon_plus) with [`Rule::Flat`] for the first layer (zennit's
    /// `EpsilonPlusFlat`).
    pub fn epsilon_plus_flat() -> Self {
        Self { first: Some(Rule::Flat), ..Self::epsilon_plus() }
    }

    /// γ = 0.25 for convolutions, ε = 1e-6 for linear layers, z^B for the first (zennit's
    /// `EpsilonGammaBox`).
    pub fn epsilon_gamma_box(low: Tensor, high: Tensor) -> Self {
        Self {
            conv: Rule::Gamma { gamma: 0.25 },
            first: Some(Rule::ZBox { low, high }),
            ..Self::epsilon(1e-6)
        }
    }

    /// α = 2, β = 1 for convolutions, ε = 1e-6 for linear layers (zennit's `EpsilonAlpha2Beta1`).
    pub fn epsilon_alpha2_beta1() -> Self {
        Self { conv: Rule::AlphaBeta { alpha: 2., beta: 1. }, ..Self::epsilon(1e-6) }
    }

    pub(crate) fn check(&self) -> Result<()> {
        from_zero("stabilizer", self.stabilizer)?;
        [&self.conv, &self.linear]
            .into_iter()
            .chain(&self.first)
            .chain(self.named.iter().map(|(_, rule)| rule))
            .try_for_each(Rule::check)
    }

    /// The box of the network's input, if it is the rule of the first layer, which has this name.
    pub(crate) fn box_of_input(&self, name: &str) -> Option<(&Tensor, &Tensor)> {
        match &self.first {
            Some(Rule::ZBox { low, high }) if self.named.iter().all(|(named, _)| named != name) => {
                Some((low, high))
            }
            _ => None,
        }
    }

    /// The rule of a convolution or another linear layer, which may be the first of them.
    pub(crate) fn rule(&self, name: &str, is_conv: bool, is_first: bool) -> &Rule {
        let by_name = self.named.iter().find(|(named, _)| named == name);
        let as_first = self.first.as_ref().filter(|_| is_first);
        let by_kind = if is_conv { &self.conv } else { &self.linear };
        by_name.map(|(_, rule)| rule).or(as_first).unwrap_or(by_kind)
    }
}

impl Rule {
    fn check(&self) -> Result<()> {
        match *self {
            Self::Epsilon { epsilon } => from_zero("epsilon", epsilon),
            Self::Gamma { gamma } => from_zero("gamma", gamma),
            Self::AlphaBeta { alpha, beta } => check(
                beta >= 0. && alpha.is_finite() && (alpha - beta - 1.).abs() < 1e-12,
                "alpha",
                alpha,
                "beta + 1, with beta from 0",
            ),
            Self::ZBox { .. } | Self::Flat => Ok(()),
        }
    }
}

fn from_zero(parameter: &'static str, value: f64) -> Result<()> {
    check(value >= 0. && value.is_finite(), parameter, value, "a number from 0")
}
