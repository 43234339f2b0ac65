//! Random numbers that are named by their item: a draw depends on the seed, its purpose, the step
//! and the item, and not on the order of the pool or on how many draws came before.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What random numbers are for. Two purposes never share numbers.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// The order of equals, and of random choices.
    Order = 1,
    /// The centres of BADGE.
    Centre = 2,
    /// Whether the importance-weighted stream asks.
    Query = 3,
}

/// A number in (0, 1].
pub(crate) fn draw(seed: u64, purpose: Purpose, step: usize, item: usize) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((purpose as u64) << 48 | item as u64);
    rng.set_word_pos(2 * step as u128);
    1. - rng.random::<f64>()
}

/// Items in a random order that depends on the seed and on which items they are, not on the order
/// in which they are given.
///
/// ```
/// use foresee_active::in_random_order;
///
/// let order = in_random_order(&[3, 1, 2], 7);
/// assert_eq!(order, in_random_order(&[1, 2, 3], 7));
/// ```
pub fn in_random_order(items: &[usize], seed: u64) -> Vec<usize> {
    let draw = |&item: &usize| (draw(seed, Purpose::Order, 0, item), item);
    let mut drawn: Vec<(f64, usize)> = items.iter().map(draw).collect();
    drawn.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    drawn.into_iter().map(|(_, item)| item).collect()
}
