//! Images that are missing, not listed, or damaged.

use super::{Findings, Status};
use crate::dataset::CelebA;

/// Images that findings name; the others are counted.
const NAMED: usize = 20;

/// Decodes the images of these faces. Returns the faces whose images cannot be decoded or are
/// damaged, with the reason. `progress` receives the number of images that were decoded since it
/// was last called.
pub fn bad_images(
    data: &CelebA,
    faces: &[usize],
    progress: impl Fn(usize) + Sync,
) -> Vec<(usize, String)> {
    data.images().bad(faces, progress)
}

pub(super) fn check_unlisted(data: &CelebA, findings: &mut Findings) {
    match data.images().unlisted() {
        Ok(unlisted) if unlisted.is_empty() => {}
        Ok(unlisted) => {
            let named: Vec<&str> = unlisted.iter().take(NAMED).map(String::as_str).collect();
            let more = if unlisted.len() > NAMED { ", …" } else { "" };
            let message = format!(
                "{} that no row of list_attr_celeba lists, and that are not read: {}{more}",
                unlisted.len(),
                named.join(", ")
            );
            findings.add(Status::Note, "other images", message);
        }
        Err(e) => findings.add(Status::Wrong, "other images", e),
    }
}

pub(super) fn check_missing(data: &CelebA, findings: &mut Findings) {
    let missing = match data.missing_images() {
        Ok(missing) => missing,
        Err(e) => return findings.add(Status::Wrong, "images exist", e),
    };
    if missing.is_empty() {
        return;
    }
    if let Some(message) = data.under_another_name(&missing) {
        return findings.add(Status::Wrong, "images exist", message);
    }
    for &face in missing.iter().take(NAMED) {
        let path = data.image_path(face);
        let message = format!("{} is listed in the annotations but does not exist", path.display());
        findings.add(Status::Wrong, "image", message);
    }
    let message = format!(
        "{} of {} are missing: get them again, or leave them out (--skip-bad)",
        missing.len(),
        data.len()
    );
    findings.add(Status::Wrong, "images exist", message);
}

pub(super) fn check_decoding(
    data: &CelebA,
    progress: impl Fn(usize, usize) + Sync,
    findings: &mut Findings,
) {
    let all: Vec<usize> = (0..data.len()).collect();
    let found = data.images().validated(&all, |n| progress(n, all.len()));
    let mut bad = vec![];
    let mut turned = vec![];
    for (face, found) in found {
        match found {
            Ok(true) => turned.push(face),
            Ok(false) => {}
            Err(reason) => bad.push((face, reason)),
        }
    }
    if let Some(&first) = turned.first() {
        let message = format!(
            "{} of {} do not lie upright, and are turned as their EXIF data say: \
             {}{}",
            turned.len(),
            all.len(),
            data.name(first),
            if turned.len() > 1 { ", …" } else { "" }
        );
        findings.add(Status::Note, "orientation", message);
    }
    // What is missing was told already.
    let missing = data.missing_images().unwrap_or_default();
    let is_there = |(face, _): &&(usize, String)| !missing.contains(face);
    for (_, reason) in bad.iter().filter(is_there).take(NAMED) {
        findings.add(Status::Wrong, "image", reason);
    }
    match bad.len() {
        0 => findings.add(Status::Right, "images decode", format!("all {}", all.len())),
        n => findings.add(
            Status::Wrong,
            "images decode",
            format!("{} of {}; {n} do not", all.len() - n, all.len()),
        ),
    }
}
