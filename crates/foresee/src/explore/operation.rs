//! An operation on one face: every logit before and after, at once.

use std::sync::Arc;

use foresee_celeba::ATTRIBUTES;
use foresee_perturb::{Cut, PowerCurve, ToneCurve, add_noise, logits_under};
use foresee_stats::sigmoid;
use serde::Serialize;

use super::explorer::{Explorer, Seen, finite};
use super::view::{FaceId, Operation, View};
use crate::error::Result;

/// An operation, made ready for this network.
pub(crate) struct Prepared {
    pub pruned: Vec<usize>,
    pub cut: Option<Arc<Cut>>,
    pub curve: Option<PowerCurve>,
    pub sigma: f64,
    pub noise_seed: u64,
}

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

impl Prepared {
    pub fn new(explorer: &Explorer, operation: &Operation) -> Result<Self> {
        let pruned = explorer.pruned(&operation.pruning)?;
        Ok(Self {
            cut: explorer.cut(&pruned, operation.takeover)?,
            pruned,
            curve: operation.tone.map(|tone| tone.curve()).transpose()?,
            sigma: operation.sigma,
            noise_seed: operation.noise_seed,
        })
    }

    pub fn curve(&self) -> Option<&dyn ToneCurve> {
        self.curve.as_ref().map(|curve| curve as &dyn ToneCurve)
    }

    /// The logits of a face, `[K]`.
    pub fn logits(&self, explorer: &Explorer, seen: &Seen) -> Result<Vec<f32>> {
        use foresee_perturb::GatedModel;
        let network = &explorer.trained()?.network;
        let noisy = match self.sigma > 0. {
            true => {
                let noise = explorer.noise(self.sigma, self.noise_seed)?;
                Some(network.features(&add_noise(&seen.image, &[seen.number], &noise)?)?)
            }
            false => None,
        };
        let features = noisy.as_ref().unwrap_or(&seen.features);
        let logits = logits_under(network, features, self.cut.as_deref(), self.curve())?;
        finite(logits.squeeze(0)?.to_vec1()?)
    }
}

/// Every logit of the view's face before and after its operation.
pub(super) fn outcome(explorer: &Explorer, view: &View) -> Result<Outcome> {
    let seen = explorer.face(view.face.as_ref())?;
    let prepared = Prepared::new(explorer, &view.operation)?;
    let after = prepared.logits(explorer, &seen)?;
    let labels = match &seen.id {
        FaceId::Test(face) => Some(explorer.data()?.labels(*face)),
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
        channels: explorer.channels(),
        pruned: prepared.pruned,
        attributes: (0..ATTRIBUTES.len()).map(changed).collect(),
    })
}
