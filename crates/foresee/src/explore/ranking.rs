//! Answers to the first test faces, which faces are sorted by. They are computed in the background
//! while the page is looked at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};

use foresee_attribution::log_losses;
use foresee_celeba::ATTRIBUTES;

use super::view::Sort;
use crate::error::Result;
use crate::faces;
use crate::operate::Opened;
use crate::session::check_finite;

/// Test faces that are sorted, at most.
const MOST: usize = 1000;
/// Faces of one batch.
const BATCH: usize = 8;

/// What the faces are sorted by, face by face.
#[derive(Default)]
pub(super) struct Ranking {
    rows: RwLock<Vec<Scores>>,
    /// Why there will be no more.
    problem: OnceLock<String>,
    /// Nobody waits for the rest.
    stopped: AtomicBool,
}

/// Of one face.
struct Scores {
    face: usize,
    /// Log loss of each attribute.
    losses: Vec<f64>,
    /// |logit| of each attribute.
    certainties: Vec<f64>,
}

/// The mean over all attributes, or the value of one.
fn value(values: &[f64], of: Option<usize>) -> f64 {
    match of {
        Some(attribute) => values[attribute],
        None => foresee_stats::mean(values),
    }
}

impl Ranking {
    /// Ends [`fill`](Self::fill) soon.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Faces that are sorted once all answers are there.
    pub fn expected(opened: &Opened) -> usize {
        opened.test.len().min(MOST)
    }

    /// Computes the answers, or keeps why they cannot be.
    pub fn fill(&self, opened: &Opened) {
        if let Err(e) = self.compute(opened) {
            tracing::warn!("faces cannot all be sorted: {e:#}");
            let _ = self.problem.set(format!("{e:#}"));
        }
    }

    /// Why there will be no more faces than there are.
    pub fn problem(&self) -> Option<&str> {
        self.problem.get().map(String::as_str)
    }

    fn compute(&self, opened: &Opened) -> Result<()> {
        let trained = opened.trained()?;
        let data = opened.data()?;
        let first = faces::first(opened.test.clone(), MOST);
        for chunk in first.chunks(BATCH) {
            if self.stopped.load(Ordering::Relaxed) {
                return Ok(());
            }
            for batch in data.batches_in_order(chunk, &trained.preprocessing, BATCH) {
                let batch = batch?;
                let images = batch.images.to_device(&opened.session.device)?;
                let logits = trained.network.forward(&images)?.logits.detach();
                check_finite(&logits, data, &batch)?;
                let scores = |(i, &face): (usize, &usize)| {
                    let (logits, labels) = (logits.narrow(0, i, 1)?, batch.labels.narrow(0, i, 1)?);
                    let certainties = logits.abs()?.squeeze(0)?.to_vec1::<f32>()?;
                    Ok(Scores {
                        face,
                        losses: log_losses(&logits, &labels.to_device(logits.device())?)?,
                        certainties: certainties.into_iter().map(f64::from).collect(),
                    })
                };
                let rows =
                    batch.faces.iter().enumerate().map(scores).collect::<Result<Vec<_>>>()?;
                self.rows.write().unwrap_or_else(PoisonError::into_inner).extend(rows);
            }
        }
        Ok(())
    }

    /// The faces whose answers are there, sorted, with what they are sorted by.
    pub fn sorted(&self, sort: Sort, of: Option<usize>) -> Vec<(usize, f64)> {
        debug_assert!(of.is_none_or(|k| k < ATTRIBUTES.len()));
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(usize, f64)> = match sort {
            Sort::MostWrong => rows.iter().map(|r| (r.face, value(&r.losses, of))).collect(),
            _ => rows.iter().map(|r| (r.face, value(&r.certainties, of))).collect(),
        };
        match sort {
            Sort::MostWrong => all.sort_by(|a, b| b.1.total_cmp(&a.1)),
            Sort::LeastCertain => all.sort_by(|a, b| a.1.total_cmp(&b.1)),
            Sort::Order => {}
        }
        all
    }
}
