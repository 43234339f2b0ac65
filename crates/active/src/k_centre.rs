use rayon::prelude::*;

use crate::answers::Table;
use crate::product::distance;
use crate::random::{Purpose, draw};

/// Centres that are compared with an item before the next item is looked at: they stay in the
/// cache.
const BLOCK: usize = 64;
/// Items that a thread takes at once.
const ITEMS: usize = 512;

/// Greedy k-centre (Gonzalez, 1985; as a core-set Sener & Savarese, 2018, algorithm 1): again and
/// again the item that is farthest from every labelled and every chosen one, so that at the end no
/// item is far from all of them. The largest distance that is left is at most twice the smallest
/// that is possible. Distances are Euclidean, between `features` [n, D] of the `items` and those of
/// the `labelled`, and exact: time grows with n·D·(labelled + count), memory with n.
///
/// Without labelled items the first is chosen at random. Returns rows of `features`.
///
/// # Panics
/// If the tables differ in their columns.
pub fn k_centre(
    items: &[usize],
    features: &Table,
    labelled: Option<&Table>,
    count: usize,
    seed: u64,
) -> Vec<usize> {
    let mut nearest = nearest(features, labelled);
    let order: Vec<f64> =
        items.par_iter().map(|&item| draw(seed, Purpose::Order, 0, item)).collect();
    let mut chosen = vec![];
    for _ in 0..count.min(items.len()) {
        // Of those that are equally far, the first in a random order.
        let next = (0..items.len())
            .filter(|&row| nearest[row] >= 0.)
            .max_by(|&a, &b| nearest[a].total_cmp(&nearest[b]).then(order[b].total_cmp(&order[a])));
        let Some(next) = next else { break };
        let centre = features.row(next);
        nearest.par_iter_mut().with_min_len(ITEMS).enumerate().for_each(|(row, nearest)| {
            *nearest = nearest.min(distance(features.row(row), centre));
        });
        // Chosen: never again, whatever is as near.
        nearest[next] = -1.;
        chosen.push(next);
    }
    chosen
}

/// The squared distance of each item from the nearest labelled one.
fn nearest(features: &Table, labelled: Option<&Table>) -> Vec<f64> {
    let mut nearest = vec![f64::INFINITY; features.rows()];
    let Some(labelled) = labelled else { return nearest };
    nearest.par_chunks_mut(ITEMS).enumerate().for_each(|(chunk, nearest)| {
        for first in (0..labelled.rows()).step_by(BLOCK) {
            let centres = first..(first + BLOCK).min(labelled.rows());
            for (i, nearest) in nearest.iter_mut().enumerate() {
                let row = features.row(chunk * ITEMS + i);
                let to = centres.clone().map(|centre| distance(row, labelled.row(centre)));
                *nearest = to.fold(*nearest, f64::min);
            }
        }
    });
    nearest
}

/// The largest distance of an item from the nearest of the labelled and of the `chosen` rows:
/// what [`k_centre`] keeps small.
///
/// # Panics
/// If the tables differ in their columns, or there is no such row.
pub fn radius(features: &Table, labelled: Option<&Table>, chosen: &[usize]) -> f64 {
    let of = |(row, &nearest): (usize, &f64)| {
        let to = chosen.iter().map(|&centre| distance(features.row(row), features.row(centre)));
        to.fold(nearest, f64::min)
    };
    nearest(features, labelled).iter().enumerate().map(of).fold(0., f64::max).sqrt()
}
