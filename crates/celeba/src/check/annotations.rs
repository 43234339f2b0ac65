//! The annotations that are optional: identities, landmarks, boxes.

use super::{Findings, Status};
use crate::dataset::CelebA;
use crate::error::Error;
use crate::official::PEOPLE;

pub(super) fn check_identities(data: &CelebA, complete: bool, findings: &mut Findings) {
    match data.identities() {
        Ok(mut people) => {
            people.sort_unstable();
            people.dedup();
            let wrong = complete && people.len() != PEOPLE;
            let status = if wrong { Status::Wrong } else { Status::Right };
            findings.add(status, "identities", format!("{} people", people.len()));
        }
        Err(e) => add_optional("identities", e, findings),
    }
}

pub(super) fn check_landmarks_and_boxes(data: &CelebA, findings: &mut Findings) {
    let landmarks = data.landmarks().map(|rows| rows.len());
    let boxes = data.boxes().map(|rows| rows.len());
    for (item, faces) in [("landmarks", landmarks), ("boxes", boxes)] {
        match faces {
            Ok(faces) => findings.add(Status::Right, item, format!("{faces} faces")),
            Err(e) => add_optional(item, e, findings),
        }
    }
}

/// Optional annotations may be missing, but not wrong.
fn add_optional(item: &str, error: Error, findings: &mut Findings) {
    match error {
        Error::Missing(_) => findings.add(Status::Missing, item, "no such file; it is not needed"),
        error => findings.add(Status::Wrong, item, error),
    }
}
