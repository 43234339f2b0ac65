//! Bootstrap samples in which people and items are drawn anew.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One sample.
pub(crate) struct Draw {
    /// How often each item counts.
    pub items: Vec<f64>,
    /// Of each group, the people that were drawn.
    pub people: Vec<Vec<usize>>,
}

/// The sample with this number: items are the same for all groups, people are each group's own.
pub(crate) fn draw(items: usize, groups: &[usize], seed: u64, number: u64) -> Draw {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number + 1);
    let mut times = vec![0.; items];
    (0..items).for_each(|_| times[rng.random_range(0..items)] += 1.);
    let mut people = |&count: &usize| (0..count).map(|_| rng.random_range(0..count)).collect();
    Draw { items: times, people: groups.iter().map(&mut people).collect() }
}
