//! Rows that are shut: the masks of one attribute on one channel whose contribution hardly varies.
//! What leaving them out changes is known beforehand: next to nothing.

use foresee_model::{Network, Predictions, RowStatistics};

use super::tables::Images;
use crate::artifacts::ShutRows;
use crate::error::Result;
use crate::progress::{Progress, Unit};

/// Shares of the rows that are left out.
const SHARES: [f64; 9] = [0., 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];

/// The network without each share of its rows, on the same test images.
pub(super) fn measure(
    network: &Network,
    rows: &RowStatistics,
    images: &Images,
    test: &[usize],
) -> Result<Vec<ShutRows>> {
    let selections = SHARES.map(|share| rows.select_share(share));
    let selections = selections.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    let mut networks = vec![];
    for selection in &selections {
        networks.push(network.compact(selection)?.frozen());
    }
    let mut predictions = vec![Predictions::default(); networks.len()];
    let progress = Progress::new("shut rows", Unit::Images, test.len(), 0);
    for batch in images.batches(test, &progress, String::new) {
        let (batch, labels) = batch?;
        let z = network.extractor().forward(&batch)?;
        for (network, predictions) in networks.iter().zip(&mut predictions) {
            predictions.add(&network.forward_features(&z)?.logits, &labels)?;
        }
    }
    let all = network.heads().rows().count();
    let mut found = vec![];
    for ((share, selection), after) in SHARES.into_iter().zip(&selections).zip(&predictions) {
        let change = predictions[0].change(after, "test")?;
        let deviations = &selection.deviations;
        let metrics = after.metrics()?;
        let answers = (after.images() * metrics.each.len()) as f64;
        found.push(ShutRows {
            share,
            gone: all - selection.rows.count(),
            rows: all,
            correct: (metrics.accuracy() * answers).round() as usize,
            images: after.images(),
            foretold_change: deviations.iter().sum::<f64>() / deviations.len() as f64,
            mean_change: change.mean,
            greatest_change: change.greatest,
            flipped: change.flipped,
        });
    }
    Ok(found)
}
