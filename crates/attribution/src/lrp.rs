//! Eq. 2: layer-wise relevance propagation (Bach et al., 2015).

use candle_core::{D, Tensor};

use crate::backward::{inputs, one_hot, spread, winners};
use crate::error::{Error, Result, check};
use crate::layers::{Layer, Layers, Step, run, squares};
use crate::target::{finite, sums};

/// How a convolution or linear layer hands relevance R_j of its outputs on to its inputs, x_i. With
/// w⁺, w⁻ the positive and negative parts; (·)⁺, (·)⁻ of a contribution x_i·w_ij likewise; sums
/// over i have the bias as one more contribution unless [`Bias::Ignore`] is chosen.
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
    /// z^B, for the first layer of inputs in a box (Montavon et al., 2017): contributions x_i·w_ij
    /// - l_i·w⁺_ij - h_i·w⁻_ij.
    ZBox {
        /// l, the least value of an input: of the shape [1, C, 1, 1] for images, or any that can be
        /// broadcast to x.
        low: Tensor,
        /// h, the greatest.
        high: Tensor,
    },
    /// All inputs of an output share alike (Lapuschkin et al., 2019).
    Flat,
}

/// What a bias does with relevance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bias {
    /// It is left out of the sums, and relevance is conserved: each layer's sum is f(x), up to what
    /// stabilisers take (zennit: `zero_params="bias"`).
    #[default]
    Ignore,
    /// It takes its share, as zennit does by default; [`LayerSum::bias`] says how much.
    Absorb,
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
    /// Default [`Bias::Ignore`].
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

    /// The same with [`Rule::Flat`] for the first layer (`EpsilonPlusFlat`).
    pub fn epsilon_plus_flat() -> Self {
        Self { first: Some(Rule::Flat), ..Self::epsilon_plus() }
    }

    /// γ = 0.25 for convolutions, ε = 1e-6 for linear layers, z^B for the first
    /// (`EpsilonGammaBox`).
    pub fn epsilon_gamma_box(low: Tensor, high: Tensor) -> Self {
        Self {
            conv: Rule::Gamma { gamma: 0.25 },
            first: Some(Rule::ZBox { low, high }),
            ..Self::epsilon(1e-6)
        }
    }

    /// α = 2, β = 1 for convolutions, ε = 1e-6 for linear layers (`EpsilonAlpha2Beta1`).
    pub fn epsilon_alpha2_beta1() -> Self {
        Self { conv: Rule::AlphaBeta { alpha: 2., beta: 1. }, ..Self::epsilon(1e-6) }
    }

    fn check(&self) -> Result<()> {
        check(
            self.stabilizer >= 0. && self.stabilizer.is_finite(),
            "stabilizer",
            self.stabilizer,
            "a number from 0",
        )?;
        [&self.conv, &self.linear]
            .into_iter()
            .chain(&self.first)
            .chain(self.named.iter().map(|(_, rule)| rule))
            .try_for_each(|rule| match *rule {
                Rule::Epsilon { epsilon } => check(
                    epsilon >= 0. && epsilon.is_finite(),
                    "epsilon",
                    epsilon,
                    "a number from 0",
                ),
                Rule::Gamma { gamma } => {
                    check(gamma >= 0. && gamma.is_finite(), "gamma", gamma, "a number from 0")
                }
                Rule::AlphaBeta { alpha, beta } => check(
                    beta >= 0. && alpha.is_finite() && (alpha - beta - 1.).abs() < 1e-12,
                    "alpha",
                    alpha,
                    "beta + 1, with beta from 0",
                ),
                Rule::ZBox { .. } | Rule::Flat => Ok(()),
            })
    }

    fn rule<'a>(&'a self, step: &Step, first: &str) -> &'a Rule {
        let own = self.named.iter().find(|(name, _)| *name == step.name).map(|(_, rule)| rule);
        let as_first = self.first.as_ref().filter(|_| step.name == first);
        own.or(as_first).unwrap_or(if matches!(step.layer, Layer::Conv2d { .. }) {
            &self.conv
        } else {
            &self.linear
        })
    }
}

/// Where relevance went at a layer, one number for each input of the batch. The sum behind the
/// layer is `relevance + bias + stabilizer`.
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
/// ReLUs pass relevance unchanged; pooling by averages and sums with a branch share it by
/// contribution; pooling by maxima gives it to the maximum. Through the masks ([`Layers::gate`])
/// the signal z takes all relevance of M ⊗ z and the gate M none, as in gated units (Arras et al.,
/// 2017): the mask weighs, what it weighs is what is seen.
///
/// # Errors
/// If an option is outside its range, a name is of no layer, the input does not fit, a layer has no
/// rule (the error names it), or the relevance is not finite.
pub fn lrp(layers: &Layers, x: &Tensor, target: usize, composite: &Composite) -> Result<Relevance> {
    composite.check()?;
    for (name, _) in &composite.named {
        find(&layers.steps, name)
            .ok_or_else(|| Error::NoLayer { name: name.clone(), layers: layers.names() })?;
    }
    if let Some(step) = unsupported(&layers.steps) {
        let reason = "no rule is known for it; build it of layers that have one".into();
        return Err(Error::Layer { method: "LRP", layer: step.name.clone(), reason });
    }
    let (narrow, index) = layers.only(target)?;
    let first = narrow
        .steps
        .iter()
        .find(|s| matches!(s.layer, Layer::Conv2d { .. } | Layer::Linear { .. }))
        .map_or("", |s| &s.name);
    let walk = Walk { composite, first };
    let (mut parts, mut output, mut all) = (vec![], vec![], Vec::<LayerSum>::new());
    let n = x.dim(0)?;
    for start in (0..n).step_by(layers.batch) {
        let inputs = inputs(&narrow.steps, &x.narrow(0, start, layers.batch.min(n - start))?)?;
        let outputs = &inputs[narrow.steps.len()];
        let r = (outputs * one_hot(outputs, index, target)?)?;
        output.extend(sums(&r)?);
        let mut chunk = vec![];
        parts.push(walk.down(&narrow.steps, &inputs, r, &mut chunk)?);
        match all.is_empty() {
            true => all = chunk,
            false => all.iter_mut().zip(chunk).for_each(|(all, chunk)| {
                all.relevance.extend(chunk.relevance);
                all.bias.extend(chunk.bias);
                all.stabilizer.extend(chunk.stabilizer);
            }),
        }
    }
    let attribution = finite(Tensor::cat(&parts, 0)?, || "the relevance".into())?;
    Ok(Relevance { attribution, output, layers: all })
}

fn find<'a>(steps: &'a [Step], name: &str) -> Option<&'a Step> {
    steps.iter().find_map(|step| match &step.layer {
        _ if step.name == name => Some(step),
        Layer::Residual(branch) => find(branch, name),
        _ => None,
    })
}

fn unsupported(steps: &[Step]) -> Option<&Step> {
    steps.iter().find_map(|step| match &step.layer {
        Layer::Other(_) => Some(step),
        Layer::Residual(branch) => unsupported(branch),
        _ => None,
    })
}

/// Relevance of a layer's inputs, and what biases and stabilisers took of each input of the batch.
struct Passed {
    relevance: Tensor,
    bias: Vec<f64>,
    stabilizer: Vec<f64>,
}

impl Passed {
    fn whole(relevance: Tensor) -> Result<Self> {
        let nothing = vec![0.; relevance.dim(0)?];
        Ok(Self { relevance, bias: nothing.clone(), stabilizer: nothing })
    }
}

struct Walk<'a> {
    composite: &'a Composite,
    first: &'a str,
}

impl Walk<'_> {
    fn down(
        &self,
        steps: &[Step],
        inputs: &[Tensor],
        r: Tensor,
        layers: &mut Vec<LayerSum>,
    ) -> Result<Tensor> {
        steps.iter().zip(inputs).rev().try_fold(r, |r, (step, x)| {
            let passed = self.pass(step, x, &r, layers)?;
            layers.push(LayerSum {
                layer: step.name.clone(),
                relevance: sums(&passed.relevance)?,
                bias: passed.bias,
                stabilizer: passed.stabilizer,
            });
            Ok(passed.relevance)
        })
    }

    fn pass(
        &self,
        step: &Step,
        x: &Tensor,
        r: &Tensor,
        layers: &mut Vec<LayerSum>,
    ) -> Result<Passed> {
        match &step.layer {
            Layer::Conv2d { weight, bias, .. }
            | Layer::Linear { weight, bias }
            | Layer::Readout { weight, bias } => {
                let bias = (self.composite.bias == Bias::Absorb).then_some(bias);
                Linear { layer: &step.layer, weight, bias, stabilizer: self.composite.stabilizer }
                    .pass(self.composite.rule(step, self.first), x, r)
            }
            Layer::LeakyRelu { .. } => Passed::whole(r.clone()),
            Layer::Flatten => Passed::whole(r.reshape(x.shape())?),
            Layer::Gate { .. } => Passed::whole(r.sum(1)?),
            Layer::MaxPool { size } => Passed::whole((spread(r, *size, x)? * winners(x, *size)?)?),
            Layer::AveragePool { size } => {
                let (s, stabilizer) = self.divide(r, &squares(x, *size)?.sum(D::Minus1)?)?;
                Ok(Passed {
                    relevance: (spread(&s, *size, x)? * x)?,
                    stabilizer,
                    bias: vec![0.; x.dim(0)?],
                })
            }
            Layer::GlobalAveragePool => {
                let pixels = (x.dim(D::Minus1)? * x.dim(D::Minus2)?) as f64;
                let mean = x.mean((D::Minus2, D::Minus1))?;
                let (s, stabilizer) = self.divide(r, &mean)?;
                let s = s.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)?;
                Ok(Passed {
                    relevance: (x.broadcast_mul(&s)? / pixels)?,
                    stabilizer,
                    bias: vec![0.; x.dim(0)?],
                })
            }
            Layer::Residual(branch) => {
                let y = run(branch, x)?;
                let (s, stabilizer) = self.divide(r, &(x + &y)?)?;
                let through = self.down(branch, &inputs(branch, x)?, (y * &s)?, layers)?;
                // What the branch's own layers took stands at these.
                Ok(Passed {
                    relevance: ((x * s)? + through)?,
                    stabilizer,
                    bias: vec![0.; x.dim(0)?],
                })
            }
            Layer::Other(_) => unreachable!("refused before the walk"),
        }
    }

    /// s = R/(z + ε·sign z), and ε·sign z·s, which is lost.
    fn divide(&self, r: &Tensor, z: &Tensor) -> Result<(Tensor, Vec<f64>)> {
        divide(r, z, self.composite.stabilizer)
    }
}

fn divide(r: &Tensor, z: &Tensor, epsilon: f64) -> Result<(Tensor, Vec<f64>)> {
    if epsilon == 0. {
        // Nothing can be shared where the sum is 0: it is lost.
        let nothing = z.eq(&z.zeros_like()?)?;
        let s = nothing.where_cond(z, &(r / z)?)?;
        return Ok((s, sums(&nothing.where_cond(r, &z.zeros_like()?)?)?));
    }
    let signed = z.ge(&z.zeros_like()?)?.to_dtype(z.dtype())?.affine(2. * epsilon, -epsilon)?;
    let s = (r / (z + &signed)?)?;
    let lost = sums(&(signed * &s)?)?;
    Ok((s, lost))
}

/// A linear layer, with the bias that takes part.
struct Linear<'a> {
    layer: &'a Layer,
    weight: &'a Tensor,
    bias: Option<&'a Tensor>,
    stabilizer: f64,
}

/// One term of a denominator: inputs and weights that meet, and the bias that is added.
type Term = (Tensor, Tensor, Option<Tensor>);

impl Linear<'_> {
    fn pass(&self, rule: &Rule, x: &Tensor, r: &Tensor) -> Result<Passed> {
        let (positive, negative) = (|t: &Tensor| t.relu(), |t: &Tensor| t.minimum(0f64));
        let (w_plus, w_minus) = (positive(self.weight)?, negative(self.weight)?);
        let part = |of: fn(&Tensor) -> candle_core::Result<Tensor>| self.bias.map(of).transpose();
        let (b_plus, b_minus) = (part(|b| b.relu())?, part(|b| b.minimum(0f64))?);
        match rule {
            Rule::Epsilon { epsilon } => {
                self.share(r, &[(x.clone(), self.weight.clone(), self.bias.cloned())], *epsilon, 1.)
            }
            Rule::Gamma { gamma } => {
                let more = |w: &Tensor, part: &Tensor| w + (part * *gamma)?;
                let more_bias = |part: &Option<Tensor>| {
                    self.bias.zip(part.as_ref()).map(|(b, part)| more(b, part)).transpose()
                };
                let (up, down) = (more(self.weight, &w_plus)?, more(self.weight, &w_minus)?);
                let (x_plus, x_minus) = (positive(x)?, negative(x)?);
                // By the sign of what the unit puts out, as in zennit: with its bias, whatever that
                // may do with relevance.
                let z = self.layer.forward(x)?;
                let zero = z.zeros_like()?;
                let above = (r * z.gt(&zero)?.to_dtype(r.dtype())?)?;
                let below = (r * z.lt(&zero)?.to_dtype(r.dtype())?)?;
                let lost = sums(&(r - (&above + &below)?)?)?;
                let above = self.share(
                    &above,
                    &[
                        (x_plus.clone(), up.clone(), more_bias(&b_plus)?),
                        (x_minus.clone(), down.clone(), None),
                    ],
                    self.stabilizer,
                    1.,
                )?;
                let below = self.share(
                    &below,
                    &[(x_plus, down, more_bias(&b_minus)?), (x_minus, up, None)],
                    self.stabilizer,
                    1.,
                )?;
                let mut both = above.and(below)?;
                both.stabilizer.iter_mut().zip(lost).for_each(|(all, lost)| *all += lost);
                Ok(both)
            }
            Rule::AlphaBeta { alpha, beta } => {
                let (x_plus, x_minus) = (positive(x)?, negative(x)?);
                let plus = [
                    (x_plus.clone(), w_plus.clone(), b_plus),
                    (x_minus.clone(), w_minus.clone(), None),
                ];
                let for_it = self.share(r, &plus, self.stabilizer, *alpha)?;
                if *beta == 0. {
                    return Ok(for_it);
                }
                let minus = [(x_plus, w_minus, b_minus), (x_minus, w_plus, None)];
                for_it.and(self.share(r, &minus, self.stabilizer, -beta)?)
            }
            Rule::ZBox { low, high } => {
                let bound = |bound: &Tensor| {
                    bound.to_dtype(x.dtype())?.broadcast_as(x.shape())?.contiguous()?.neg()
                };
                // b - b⁺ - b⁻ = 0: the bias takes no part.
                self.share(
                    r,
                    &[
                        (x.clone(), self.weight.clone(), None),
                        (bound(low)?, w_plus, None),
                        (bound(high)?, w_minus, None),
                    ],
                    self.stabilizer,
                    1.,
                )
            }
            Rule::Flat => self.share(
                r,
                &[(x.ones_like()?, self.weight.ones_like()?, None)],
                self.stabilizer,
                1.,
            ),
        }
    }

    /// `times` R shared over the terms in proportion: s = R/(Σ terms + ε·sign), then each term's
    /// inputs times sᵀ·weights.
    fn share(&self, r: &Tensor, terms: &[Term], epsilon: f64, times: f64) -> Result<Passed> {
        let mut z: Option<Tensor> = None;
        for (x, w, bias) in terms {
            let term = self.layer.product(x, w, bias.as_ref())?;
            z = Some(match z {
                Some(z) => (z + term)?,
                None => term,
            });
        }
        let z = z.ok_or(Error::Degenerate("a rule of LRP without terms"))?;
        let (s, stabilizer) = divide(&(r * times)?, &z, epsilon)?;
        let mut passed =
            Passed { bias: vec![0.; r.dim(0)?], stabilizer, relevance: terms[0].0.zeros_like()? };
        for (x, w, bias) in terms {
            passed.relevance = (passed.relevance + (x * self.layer.transposed(&s, w, x)?)?)?;
            if let Some(bias) = bias {
                // The bias meets each output alone: its share is b·s.
                let whole = if matches!(self.layer, Layer::Conv2d { .. }) {
                    bias.reshape((1, (), 1, 1))?
                } else {
                    bias.clone()
                };
                passed
                    .bias
                    .iter_mut()
                    .zip(sums(&s.broadcast_mul(&whole)?)?)
                    .for_each(|(all, b)| *all += b);
            }
        }
        Ok(passed)
    }
}

impl Passed {
    fn and(mut self, other: Self) -> Result<Self> {
        self.relevance = (self.relevance + other.relevance)?;
        self.bias.iter_mut().zip(other.bias).for_each(|(a, b)| *a += b);
        self.stabilizer.iter_mut().zip(other.stabilizer).for_each(|(a, b)| *a += b);
        Ok(self)
    }
}
