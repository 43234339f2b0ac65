use std::collections::HashSet;

use rayon::prelude::*;

use crate::answers::{Answers, Model};
use crate::badge::badge;
use crate::combine::Combination;
use crate::error::{Error, Result};
use crate::expected_gradient::expected_gradient;
use crate::k_centre::k_centre;
use crate::random::{Purpose, draw, in_random_order};
use crate::strategy::Strategy;
use crate::uncertainty::{entropy, least_confidence, margin};

/// Items by whether they have a label. An item is a number of the caller's, such as an image's.
#[derive(Debug, Clone, Copy)]
pub struct Pool<'a> {
    /// Those that can be chosen.
    pub unlabelled: &'a [usize],
    /// Those that have a label.
    pub labelled: &'a [usize],
}

/// What decides a choice besides the strategy.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// How scores of outputs become one score of an item; [`KCentre`](Strategy::KCentre) and
    /// [`Badge`](Strategy::Badge) have none.
    pub combination: Combination,
    /// Decides random choices, and the order of equals.
    pub seed: u64,
}

/// Chooses `count` items, or all if there are fewer, in the order of the choice. The order of the
/// pool does not matter.
///
/// # Errors
/// If the model fails, or its answers do not fit; if an item is listed twice.
pub fn choose(
    model: &impl Model,
    pool: Pool,
    strategy: Strategy,
    count: usize,
    settings: Settings,
) -> Result<Vec<usize>> {
    let Pool { unlabelled: items, labelled } = pool;
    check_distinct(pool)?;
    if items.is_empty() || count == 0 {
        return Ok(vec![]);
    }
    if !strategy.asks_the_model() {
        let mut order = in_random_order(items, settings.seed);
        order.truncate(count);
        return Ok(order);
    }
    let answers = ask(model, items)?;
    let Settings { combination, seed } = settings;
    let p = |row| answers.probabilities.row(row);
    let rows = match strategy {
        Strategy::KCentre => {
            let labelled = match labelled.is_empty() {
                true => None,
                false => Some(ask(model, labelled)?.features),
            };
            let columns = labelled.as_ref().map(|table| table.columns());
            if columns.is_some_and(|columns| columns != answers.features.columns()) {
                return Err(Error::Shape {
                    what: "features of labelled items",
                    expected: format!("{} columns", answers.features.columns()),
                    got: format!("{} columns", columns.unwrap_or(0)),
                });
            }
            k_centre(items, &answers.features, labelled.as_ref(), count, seed)
        }
        Strategy::Badge => badge(items, &answers, count, seed),
        // It does not come here, and equals are in a random order.
        Strategy::Random => highest(items, count, seed, |_| 0.),
        Strategy::LeastConfidence => {
            highest(items, count, seed, |row| least_confidence(p(row), combination))
        }
        Strategy::Margin => highest(items, count, seed, |row| margin(p(row), combination)),
        Strategy::Entropy => highest(items, count, seed, |row| entropy(p(row), combination)),
        Strategy::ExpectedGradient => highest(items, count, seed, |row| {
            expected_gradient(p(row), answers.features.row(row), combination)
        }),
    };
    Ok(rows.into_iter().map(|row| items[row]).collect())
}

fn ask(model: &impl Model, items: &[usize]) -> Result<Answers> {
    let answers = model.answers(items).map_err(Error::Model)?;
    answers.check(items.len())?;
    Ok(answers)
}

fn check_distinct(pool: Pool) -> Result<()> {
    let mut known = HashSet::new();
    let mut items = pool.unlabelled.iter().chain(pool.labelled);
    match items.find(|item| !known.insert(**item)) {
        Some(&item) => Err(Error::Twice(item)),
        None => Ok(()),
    }
}

/// The rows with the highest scores; equals in a random order.
fn highest(
    items: &[usize],
    count: usize,
    seed: u64,
    score: impl Fn(usize) -> f64 + Sync,
) -> Vec<usize> {
    let rank = |row: usize| (score(row), draw(seed, Purpose::Order, 0, items[row]), items[row]);
    let ranks: Vec<(f64, f64, usize)> = (0..items.len()).into_par_iter().map(rank).collect();
    let mut rows: Vec<usize> = (0..items.len()).collect();
    rows.sort_by(|&a, &b| {
        let (a, b) = (&ranks[a], &ranks[b]);
        b.0.total_cmp(&a.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))
    });
    rows.truncate(count);
    rows
}
