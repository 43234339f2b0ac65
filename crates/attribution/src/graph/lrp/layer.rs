//! Relevance through one linear layer, by the rules.

use candle_core::Tensor;

use crate::error::Result;
use crate::graph::linear::LinearNode;
use crate::methods::{Bias, Rule};
use crate::tensors::{sum_per_input, to_f64};

/// Relevance of a layer's inputs, and what biases and stabilisers took of each input of the batch.
pub(super) struct Propagated {
    pub relevance: Tensor,
    pub bias: Vec<f64>,
    pub stabilizer: Vec<f64>,
}

impl Propagated {
    fn add(mut self, other: Self) -> Result<Self> {
        self.relevance = (self.relevance + other.relevance)?;
        add_to(&mut self.bias, &other.bias);
        add_to(&mut self.stabilizer, &other.stabilizer);
        Ok(self)
    }
}

/// Adds number by number.
pub(in crate::graph) fn add_to(sums: &mut [f64], values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// s = R/(z + ε·sign z), and the relevance that is lost by it, ε·sign z·s, of each input.
pub(in crate::graph) fn stabilized_ratio(
    r: &Tensor,
    z: &Tensor,
    epsilon: f64,
) -> Result<(Tensor, Vec<f64>)> {
    if epsilon == 0. {
        // Relevance of a sum of 0 cannot be distributed: it is lost.
        let is_zero = z.eq(&z.zeros_like()?)?;
        let s = is_zero.where_cond(z, &(r / z)?)?;
        return Ok((s, sum_per_input(&is_zero.where_cond(r, &z.zeros_like()?)?)?));
    }
    let signed = z.ge(&z.zeros_like()?)?.to_dtype(z.dtype())?.affine(2. * epsilon, -epsilon)?;
    let s = (r / (z + &signed)?)?;
    let lost = sum_per_input(&(signed * &s)?)?;
    Ok((s, lost))
}

fn positive(t: &Tensor) -> candle_core::Result<Tensor> {
    t.relu()
}

fn negative(t: &Tensor) -> candle_core::Result<Tensor> {
    t.minimum(0f64)
}

/// One term of a denominator: inputs and weights that are multiplied, and the bias that is added.
struct Term {
    x: Tensor,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Term {
    fn new(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Self {
        Self { x: x.clone(), weight: weight.clone(), bias: bias.cloned() }
    }
}

/// A linear layer with the weights and the bias that count.
pub(super) struct LinearLayer<'a> {
    pub map: &'a LinearNode<'a>,
    pub weight: &'a Tensor,
    /// Of a shape that is broadcast to the outputs.
    pub bias: Option<&'a Tensor>,
    /// Whether the bias takes relevance.
    pub takes: Bias,
    pub stabilizer: f64,
}

impl LinearLayer<'_> {
    /// The bias if it takes relevance.
    fn taking(&self) -> Option<&Tensor> {
        self.bias.filter(|_| self.takes == Bias::Absorb)
    }

    /// Relevance r of the outputs, distributed over the inputs x.
    pub fn propagate(&self, rule: &Rule, x: &Tensor, r: &Tensor) -> Result<Propagated> {
        match rule {
            Rule::Epsilon { epsilon } => {
                self.distribute(r, &[Term::new(x, self.weight, self.taking())], *epsilon, 1.)
            }
            Rule::Gamma { gamma } => self.gamma(x, r, *gamma),
            Rule::AlphaBeta { alpha, beta } => self.alpha_beta(x, r, *alpha, *beta),
            Rule::ZBox { low, high } => self.z_box(x, r, low, high),
            Rule::Flat => {
                let ones = Term::new(&x.ones_like()?, &self.weight.ones_like()?, None);
                self.distribute(r, &[ones], self.stabilizer, 1.)
            }
        }
    }

    fn gamma(&self, x: &Tensor, r: &Tensor, gamma: f64) -> Result<Propagated> {
        let plus_part = |of: &Tensor, part: &Tensor| of + (part * gamma)?;
        let up = plus_part(self.weight, &positive(self.weight)?)?;
        let down = plus_part(self.weight, &negative(self.weight)?)?;
        let bias_up = self.taking().map(|b| plus_part(b, &positive(b)?)).transpose()?;
        let bias_down = self.taking().map(|b| plus_part(b, &negative(b)?)).transpose()?;
        let (x_plus, x_minus) = (positive(x)?, negative(x)?);
        // By the sign of the unit's output, as in zennit: with its bias, whether that takes
        // relevance or not.
        let z = self.map.apply(x, self.weight)?;
        let z = match self.bias {
            Some(bias) => z.broadcast_add(bias)?,
            None => z,
        };
        let zero = z.zeros_like()?;
        let r_above = (r * z.gt(&zero)?.to_dtype(r.dtype())?)?;
        let r_below = (r * z.lt(&zero)?.to_dtype(r.dtype())?)?;
        let lost = sum_per_input(&(r - (&r_above + &r_below)?)?)?;
        let above = [Term::new(&x_plus, &up, bias_up.as_ref()), Term::new(&x_minus, &down, None)];
        let below = [Term::new(&x_plus, &down, bias_down.as_ref()), Term::new(&x_minus, &up, None)];
        let above = self.distribute(&r_above, &above, self.stabilizer, 1.)?;
        let below = self.distribute(&r_below, &below, self.stabilizer, 1.)?;
        let mut both = above.add(below)?;
        add_to(&mut both.stabilizer, &lost);
        Ok(both)
    }

    fn alpha_beta(&self, x: &Tensor, r: &Tensor, alpha: f64, beta: f64) -> Result<Propagated> {
        let (w_plus, w_minus) = (positive(self.weight)?, negative(self.weight)?);
        let (x_plus, x_minus) = (positive(x)?, negative(x)?);
        let bias_plus = self.taking().map(positive).transpose()?;
        let plus =
            [Term::new(&x_plus, &w_plus, bias_plus.as_ref()), Term::new(&x_minus, &w_minus, None)];
        let positive_share = self.distribute(r, &plus, self.stabilizer, alpha)?;
        if beta == 0. {
            return Ok(positive_share);
        }
        let bias_minus = self.taking().map(negative).transpose()?;
        let minus =
            [Term::new(&x_plus, &w_minus, bias_minus.as_ref()), Term::new(&x_minus, &w_plus, None)];
        positive_share.add(self.distribute(r, &minus, self.stabilizer, -beta)?)
    }

    /// The bias takes no part: b - b⁺ - b⁻ = 0.
    fn z_box(&self, x: &Tensor, r: &Tensor, low: &Tensor, high: &Tensor) -> Result<Propagated> {
        let negated = |bound: &Tensor| {
            bound.to_dtype(x.dtype())?.broadcast_as(x.shape())?.contiguous()?.neg()
        };
        let terms = [
            Term::new(x, self.weight, None),
            Term::new(&negated(low)?, &positive(self.weight)?, None),
            Term::new(&negated(high)?, &negative(self.weight)?, None),
        ];
        self.distribute(r, &terms, self.stabilizer, 1.)
    }

    /// `factor`·R distributed over the terms in proportion: s = R/(Σ terms + ε·sign), then each
    /// term's inputs times sᵀ·weights.
    fn distribute(
        &self,
        r: &Tensor,
        terms: &[Term],
        epsilon: f64,
        factor: f64,
    ) -> Result<Propagated> {
        let terms = not_empty(terms)?;
        let mut z = r.zeros_like()?;
        let mut taped = vec![];
        for term in &terms {
            let product = self.map.taped(&term.x, &term.weight)?;
            z = (z + product.outputs[0].detach())?;
            if let Some(bias) = &term.bias {
                z = z.broadcast_add(bias)?;
            }
            taped.push(product);
        }
        let (s, stabilizer) = stabilized_ratio(&(r * factor)?, &z, epsilon)?;
        let mut relevance = terms[0].x.zeros_like()?;
        let mut bias_share = vec![0.; r.dim(0)?];
        for (term, product) in terms.iter().zip(taped) {
            let back = product.back(&[Some(s.clone())])?.swap_remove(0);
            relevance = (relevance + (&term.x * back)?)?;
            if let Some(bias) = &term.bias {
                // The bias is added to each output alone: its share is b·s.
                add_to(&mut bias_share, &sum_per_input(&s.broadcast_mul(bias)?)?);
            }
        }
        Ok(Propagated { relevance, bias: bias_share, stabilizer })
    }
}

/// The terms without those that are 0, such as the negative inputs of a layer behind a ReLU; the
/// first one stays.
fn not_empty(terms: &[Term]) -> Result<Vec<&Term>> {
    let mut kept = vec![];
    for term in terms {
        let is_empty = !kept.is_empty()
            && term.bias.is_none()
            && to_f64(&term.x.abs()?.flatten_all()?.max(0)?)?[0] == 0.;
        if !is_empty {
            kept.push(term);
        }
    }
    Ok(kept)
}
