use rayon::prelude::*;

use crate::answers::Answers;
use crate::product::dot;
use crate::random::{Purpose, draw};

/// The gradient of an item's loss with respect to the last layer's weights, under the label that
/// the model itself would give: the outer product of p - ŷ `[K]` and x `[D]`, with ŷ = 1 where
/// p > 1/2. It is never multiplied out.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding<'a> {
    /// p - ŷ.
    residual: Vec<f32>,
    /// x.
    features: &'a [f32],
    /// ‖p - ŷ‖²‖x‖².
    norm: f64,
}

impl<'a> Embedding<'a> {
    /// Of an item with these probabilities and features.
    pub fn new(probabilities: &[f32], features: &'a [f32]) -> Self {
        let residual = |&p: &f32| if p > 0.5 { p - 1. } else { p };
        let residual: Vec<f32> = probabilities.iter().map(residual).collect();
        let norm = dot(&residual, &residual) * dot(features, features);
        Self { residual, features, norm }
    }
}

/// ‖a xᵀ - b yᵀ‖² = ‖a‖²‖x‖² + ‖b‖²‖y‖² - 2 (a·b)(x·y): K + D products in place of K·D.
///
/// ```
/// use foresee_active::{Embedding, squared_distance};
///
/// // (0.5, -0.25) ⊗ (1, 2) and (0, 0.25) ⊗ (2, 0).
/// let a = Embedding::new(&[0.5, 0.75], &[1., 2.]);
/// let b = Embedding::new(&[0., 0.25], &[2., 0.]);
/// let by_hand: f64 = [0.5, 1., -0.75, -0.5f64].map(|d| d * d).iter().sum();
/// assert!((squared_distance(&a, &b) - by_hand).abs() < 1e-12);
/// ```
pub fn squared_distance(a: &Embedding, b: &Embedding) -> f64 {
    let product = dot(&a.residual, &b.residual) * dot(a.features, b.features);
    // What rounding leaves below 0 is 0.
    (a.norm + b.norm - 2. * product).max(0.)
}

/// BADGE (Ash, Zhang, Krishnamurthy, Langford & Agarwal, 2020): k-means++ on gradient embeddings.
/// They are long where the model is uncertain, and far from each other where items differ, so that
/// a batch is uncertain and diverse.
///
/// k-means++ (Arthur & Vassilvitskii, 2007): the first item is chosen at random, each next one with
/// a probability in proportion to its squared distance from the nearest one that is chosen. (The
/// authors' program begins with the longest embedding.) Returns rows of `answers`.
///
/// An item is drawn by the exponential race: the smallest -ln(u)/d², where u is uniform and named
/// by the item. So the order of the pool does not matter.
pub fn badge(items: &[usize], answers: &Answers, count: usize, seed: u64) -> Vec<usize> {
    let embedding = |row| Embedding::new(answers.probabilities.row(row), answers.features.row(row));
    let embeddings: Vec<Embedding> = (0..items.len()).into_par_iter().map(embedding).collect();
    // All alike until the first is chosen.
    let mut nearest = vec![1f64; items.len()];
    let mut is_chosen = vec![false; items.len()];
    let mut chosen: Vec<usize> = vec![];
    for step in 0..count.min(items.len()) {
        let Some(next) = winner(items, &nearest, &is_chosen, step, seed) else { break };
        is_chosen[next] = true;
        chosen.push(next);
        let is_first = step == 0;
        nearest.par_iter_mut().zip(&embeddings).with_min_len(256).for_each(|(nearest, other)| {
            let to = squared_distance(other, &embeddings[next]);
            *nearest = if is_first { to } else { nearest.min(to) };
        });
    }
    chosen
}

/// The row that is drawn next. Rows at the place of a chosen one come last.
fn winner(
    items: &[usize],
    weights: &[f64],
    is_chosen: &[bool],
    step: usize,
    seed: u64,
) -> Option<usize> {
    let time = |row: usize| -draw(seed, Purpose::Centre, step, items[row]).ln();
    // (whether its weight is 0, time, item)
    let rank = |row: usize| match weights[row] > 0. {
        true => (false, time(row) / weights[row], items[row]),
        false => (true, time(row), items[row]),
    };
    let free = (0..items.len()).into_par_iter().filter(|&row| !is_chosen[row]);
    let ranked = free.map(|row| (rank(row), row));
    let first =
        ranked.min_by(|(a, _), (b, _)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
    first.map(|(_, row)| row)
}
