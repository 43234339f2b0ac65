//! An operation on one face: every logit before and after, at once.

use foresee_celeba::ATTRIBUTES;
use foresee_stats::sigmoid;
use serde::Serialize;

use super::view::View;
use crate::error::Result;
use crate::operate::{FaceId, Opened, Prepared};

/// What becomes of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Changed {
    pub attribute: &'static str,
    /// The label, where it is known.
    pub label: Option<bool>,
    pub before: f32,
    pub after: f32,
    pub probability_before: f64,
    pub probability_after: f64,
    pub flips: bool,
}

/// What becomes of a face.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Outcome {
    pub title: String,
    pub channels: usize,
    pub pruned: Vec<usize>,
    pub attributes: Vec<Changed>,
}

/// Every logit of the view's face before and after its operation.
pub(super) fn outcome(opened: &Opened, view: &View) -> Result<Outcome> {
    let seen = opened.face(view.face.as_ref())?;
    let prepared = Prepared::new(opened, &view.operation)?;
    let after = prepared.logits(opened, &seen)?;
    let labels = match &seen.id {
        FaceId::Test(face) => Some(opened.data()?.labels(*face)),
        FaceId::Upload(_) => None,
    };
    let changed = |k: usize| Changed {
        attribute: ATTRIBUTES[k],
        label: labels.map(|labels| labels.has(k)),
        before: seen.logits[k],
        after: after[k],
        probability_before: sigmoid(seen.logits[k].into()),
        probability_after: sigmoid(after[k].into()),
        flips: (seen.logits[k] > 0.) != (after[k] > 0.),
    };
    Ok(Outcome {
        title: view.operation.title(),
        channels: opened.channels(),
        pruned: prepared.pruned,
        attributes: (0..ATTRIBUTES.len()).map(changed).collect(),
    })
}
