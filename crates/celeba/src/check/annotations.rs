//! The annotations that are optional: identities, landmarks, boxes.

use super::{Findings, Status};
use crate::dataset::CelebA;
use crate::error::Error;
use crate::formats;
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
    match data.landmarks() {
        Ok(rows) => match outside(data, &rows) {
            None => findings.add(Status::Right, "landmarks", format!("{} faces", rows.len())),
            Some(problem) => findings.add(Status::Wrong, "landmarks", problem),
        },
        Err(e) => add_optional("landmarks", e, findings),
    }
    match data.boxes() {
        Ok(rows) => findings.add(Status::Right, "boxes", format!("{} faces", rows.len())),
        Err(e) => add_optional("boxes", e, findings),
    }
}

/// Images whose landmarks are compared with their size.
const COMPARED: usize = 50;

/// The first landmark outside of its image, in words. Images that cannot be read have a finding of
/// their own.
fn outside(data: &CelebA, landmarks: &[[i32; 10]]) -> Option<String> {
    landmarks.iter().take(COMPARED).enumerate().find_map(|(face, points)| {
        let image = formats::decode(&data.image_bytes(face).ok()?).ok()?;
        let (width, height) = (image.width as i32, image.height as i32);
        let is_outside =
            |point: &&[i32]| !(0..width).contains(&point[0]) || !(0..height).contains(&point[1]);
        let point = points.chunks_exact(2).find(is_outside)?;
        Some(format!(
            "{} has one at ({}, {}), outside of its {width}×{height} pixels: the landmarks are of \
             images of another size",
            data.name(face),
            point[0],
            point[1]
        ))
    })
}

/// Optional annotations may be missing, but not wrong.
fn add_optional(item: &str, error: Error, findings: &mut Findings) {
    match error {
        Error::Missing(_) => findings.add(Status::Missing, item, "no such file; it is not needed"),
        error => findings.add(Status::Wrong, item, error),
    }
}
