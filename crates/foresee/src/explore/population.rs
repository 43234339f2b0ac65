//! An operation on many test faces: the accuracy before and after.

use std::sync::OnceLock;

use candle_core::Tensor;
use foresee_perturb::{GatedModel, Tally, add_noise, logits_under};
use serde::Serialize;

use super::view::{MOST_PEOPLE, View};
use crate::error::{Result, input};
use crate::faces;
use crate::operate::{Opened, Prepared};

/// Faces of one batch.
const BATCH: usize = 10;
/// Features are kept if they take no more bytes than this.
const MOST_KEPT: usize = 256 << 20;

/// The first test faces, read once.
#[derive(Default)]
pub(super) struct Population(OnceLock<Vec<Group>>);

/// A batch of faces.
struct Group {
    faces: Vec<usize>,
    images: Tensor,
    labels: Tensor,
    /// Unless they take too much memory.
    features: Option<Tensor>,
    /// Logits without an operation.
    before: Tensor,
}

/// What an operation does to the accuracy.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct Effect {
    pub faces: usize,
    pub before: f64,
    pub before_standard_error: f64,
    pub after: f64,
    pub after_standard_error: f64,
    /// After minus before on the same faces.
    pub gain: f64,
    pub gain_standard_error: f64,
}

impl Population {
    /// The effect of the view's operation on its first faces; `None` if `is_overtaken` says so on
    /// the way.
    pub fn effect(
        &self,
        opened: &Opened,
        view: &View,
        is_overtaken: &dyn Fn() -> bool,
    ) -> Result<Option<Effect>> {
        let prepared = Prepared::new(opened, &view.operation)?;
        let (mut before, mut after) = (Tally::default(), Tally::default());
        let mut left = view.people.min(opened.test.len());
        for group in self.groups(opened)? {
            if is_overtaken() {
                return Ok(None);
            }
            let count = left.min(group.faces.len());
            if count == 0 {
                break;
            }
            let labels = group.labels.narrow(0, 0, count)?;
            before.add(&group.before.narrow(0, 0, count)?, &labels)?;
            let logits = group.logits(opened, &prepared, count)?;
            after.add(&logits, &labels).map_err(|e| input(format!("{e}; change less")))?;
            left -= count;
        }
        let gain = after.paired_gain(&before);
        Ok(Some(Effect {
            faces: after.images(),
            before: before.accuracy(),
            before_standard_error: before.standard_error(),
            after: after.accuracy(),
            after_standard_error: after.standard_error(),
            gain: gain.mean,
            gain_standard_error: gain.standard_error,
        }))
    }

    fn groups(&self, opened: &Opened) -> Result<&[Group]> {
        if let Some(groups) = self.0.get() {
            return Ok(groups);
        }
        let trained = opened.trained()?;
        let size = trained.preprocessing.image_size;
        let first = faces::first(opened.test.clone(), MOST_PEOPLE);
        let keep = 4 * first.len() * opened.channels() * size * size <= MOST_KEPT;
        let batches = opened.data()?.batches_in_order(&first, &trained.preprocessing, BATCH);
        let group = |batch: foresee_celeba::Result<foresee_celeba::Batch>| -> Result<Group> {
            let batch = batch?;
            let images = batch.images.to_device(&opened.session.device)?;
            let features = trained.network.features(&images)?;
            let before = logits_under(&trained.network, &features, None, None)?;
            Ok(Group {
                faces: batch.faces,
                images,
                labels: batch.labels.to_device(&opened.session.device)?,
                features: keep.then_some(features),
                before,
            })
        };
        let groups = batches.map(group).collect::<Result<Vec<_>>>()?;
        Ok(self.0.get_or_init(|| groups))
    }
}

impl Group {
    /// Logits of the first faces under an operation.
    fn logits(&self, opened: &Opened, prepared: &Prepared, count: usize) -> Result<Tensor> {
        let network = &opened.trained()?.network;
        let images = self.images.narrow(0, 0, count)?;
        let features = match &self.features {
            _ if prepared.sigma > 0. => {
                let noise = opened.noise(prepared.sigma, prepared.noise_seed)?;
                network.features(&add_noise(&images, &self.faces[..count], &noise)?)?
            }
            Some(features) => features.narrow(0, 0, count)?,
            None => network.features(&images)?,
        };
        Ok(logits_under(network, &features, prepared.cut.as_deref(), prepared.curve())?)
    }
}
