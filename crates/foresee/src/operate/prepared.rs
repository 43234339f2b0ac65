//! An operation, made ready for a network, and what becomes of a face's logits.

use std::sync::Arc;

use foresee_perturb::{Cut, GatedModel, PowerCurve, ToneCurve, add_noise, logits_under};

use super::opened::{Opened, Seen, finite};
use super::operation::Operation;
use crate::error::Result;

/// An operation, made ready for this network.
pub(crate) struct Prepared {
    pub pruned: Vec<usize>,
    pub cut: Option<Arc<Cut>>,
    pub curve: Option<PowerCurve>,
    pub sigma: f64,
    pub noise_seed: u64,
}

impl Prepared {
    pub fn new(opened: &Opened, operation: &Operation) -> Result<Self> {
        let pruned = opened.pruned(&operation.pruning)?;
        Ok(Self {
            cut: opened.cut(&pruned, operation.takeover)?,
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
    pub fn logits(&self, opened: &Opened, seen: &Seen) -> Result<Vec<f32>> {
        let network = &opened.trained()?.network;
        let noisy = match self.sigma > 0. {
            true => {
                let noise = opened.noise(self.sigma, self.noise_seed)?;
                Some(network.features(&add_noise(&seen.image, &[seen.number], &noise)?)?)
            }
            false => None,
        };
        let features = noisy.as_ref().unwrap_or(&seen.features);
        let logits = logits_under(network, features, self.cut.as_deref(), self.curve())?;
        finite(logits.squeeze(0)?.to_vec1()?)
    }
}
