//! Bootstrap samples in which people and faces are drawn anew.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One sample.
pub(crate) struct Draw {
    /// How often each item counts.
    pub items: Vec<f64>,
    /// Of each group, the people that were drawn.
    pub people: Vec<Vec<usize>>,
}

/// The sample with this number: faces are the same for all groups, people are each group's own.
/// Each item counts as often as its face was drawn.
pub(crate) fn draw(faces: &[usize], groups: &[usize], seed: u64, number: u64) -> Draw {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number + 1);
    let count = faces.iter().max().map_or(0, |last| last + 1);
    let mut times = vec![0.; count];
    (0..count).for_each(|_| times[rng.random_range(0..count)] += 1.);
    let mut people = |&count: &usize| (0..count).map(|_| rng.random_range(0..count)).collect();
    let items = faces.iter().map(|&face| times[face]).collect();
    Draw { items, people: groups.iter().map(&mut people).collect() }
}
