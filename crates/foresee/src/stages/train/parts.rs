//! Where PANDA-l's parts lie: about the mean landmarks of the training faces, if they are known.

use anyhow::Context;
use foresee_baselines::{PandaConfig, Part, System};
use foresee_celeba::{CelebA, Error};

use crate::artifacts::PartPlace;
use crate::error::Result;

/// The system, with PANDA-l's parts at the mean landmarks of the training faces. Without landmarks
/// they stay where CelebA's alignment puts them.
pub(super) fn placed(system: System, data: &CelebA, train: &[usize]) -> Result<System> {
    let System::Panda(panda) = system else { return Ok(system) };
    let landmarks = match data.landmarks() {
        Ok(rows) => rows,
        Err(Error::Missing(_)) => return Ok(System::Panda(panda)),
        Err(e) => return Err(e.into()),
    };
    let system = System::Panda(PandaConfig { landmarks: Some(mean(&landmarks, train)), ..panda });
    system.check().context("the landmarks of the training faces")?;
    Ok(system)
}

/// Says where the parts lie if there are no landmarks.
pub(super) fn report(system: &System) {
    if matches!(system, System::Panda(PandaConfig { landmarks: None, .. })) {
        tracing::info!(
            "there are no landmarks (list_landmarks_align_celeba): PANDA-l's parts lie where \
             CelebA's alignment puts them"
        );
    }
}

/// The mean of each landmark over some faces.
fn mean(landmarks: &[[i32; 10]], faces: &[usize]) -> [[f32; 2]; 5] {
    let coordinate = |at: usize| {
        // Whole numbers: the sum has no order.
        let sum: i64 = faces.iter().map(|&face| i64::from(landmarks[face][at])).sum();
        (sum as f64 / faces.len() as f64) as f32
    };
    std::array::from_fn(|point| [coordinate(2 * point), coordinate(2 * point + 1)])
}

/// Where the parts lie.
pub(super) fn places(panda: &PandaConfig) -> Vec<PartPlace> {
    let placed_by = if panda.landmarks.is_some() { "landmarks" } else { "alignment" };
    let place = |(part, corners): (Part, [usize; 4])| {
        let [left, right, top, bottom] = corners;
        PartPlace { part: part.id().into(), left, right, top, bottom, placed_by: placed_by.into() }
    };
    panda.parts().map(place).to_vec()
}
