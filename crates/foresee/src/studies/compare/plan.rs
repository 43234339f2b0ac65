//! What a comparison would do, and about how long it takes. Nothing is written.

use super::{Entry, Request};
use crate::config::SystemName;
use crate::device::device;
use crate::error::Result;
use crate::faces;
use crate::provenance::first_of;
use crate::run::{DataRecord, Stage};
use crate::stages::plan::training_pace;
use crate::studies::runs::{Outcome, State};

/// A run of the list, as it would be made.
pub(crate) struct Planned {
    pub state: State,
    /// Passes over the training faces that its training makes; 0 of what is trained, of what learns
    /// without passes, and where the folder holds another run.
    pub passes: usize,
    /// Faces of a pass.
    pub faces: usize,
    /// Seconds of a training from its beginning, an estimate; `None` if nothing is known.
    pub seconds: Option<f64>,
    /// Whether it is what another training of the system took, and not steps that were measured.
    pub as_before: bool,
}

/// All runs of the list. Of each system that is to be trained some steps are measured, unless
/// another training of it is done: then it is what that took.
pub(crate) fn plan(request: &Request) -> Result<Vec<Planned>> {
    let entries = request.entries();
    let Some(first) = entries.first() else { return Ok(vec![]) };
    let data = match request.faces {
        Some(folder) => faces::open_unchecked(folder, first.config)?.1,
        None => {
            let config = &first.config.data;
            DataRecord::to_draw(request.out.join("faces"), config.synthetic_faces, config.split)
        }
    };
    let device = device(request.device)?;
    let mut planned: Vec<Planned> = vec![];
    for (at, entry) in entries.iter().enumerate() {
        let state = State::of(request.out, at, entry, &Outcome::default());
        let is_trained = entry.record(Stage::Train).is_some();
        let is_left = !is_trained && !matches!(state, State::OtherSettings);
        let train = &entry.config.train;
        let faces = first_of(data.train, train.limit);
        let batch = train.batch_size.min(faces).max(1);
        let is_network = entry.kind != SystemName::Facetracer;
        let passes = if is_network && is_left { train.trainer.epochs } else { 0 };
        let earlier = earlier_seconds(&entries, entry);
        let measured = (0..at).filter(|&i| entries[i].kind == entry.kind);
        let measured = measured.filter_map(|i| planned[i].seconds).next();
        let seconds = match (earlier, measured) {
            _ if !is_left => None,
            (Some(seconds), _) => Some(seconds),
            (None, Some(seconds)) => Some(seconds),
            (None, None) if is_network => {
                let pace = training_pace(entry.config, batch, &device)?;
                Some(pace * (passes * (faces / train.batch_size).max(1) * batch) as f64)
            }
            (None, None) => None,
        };
        planned.push(Planned { state, passes, faces, seconds, as_before: earlier.is_some() });
    }
    Ok(planned)
}

/// The mean time of the trainings of the same system that are done, judged or not.
fn earlier_seconds(entries: &[Entry], of: &Entry) -> Option<f64> {
    let same = entries.iter().filter(|entry| entry.kind == of.kind);
    let seconds = same.filter_map(|entry| Some(entry.record(Stage::Train)?.wall_seconds));
    let seconds: Vec<f64> = seconds.collect();
    (!seconds.is_empty()).then(|| foresee_stats::mean(&seconds))
}
