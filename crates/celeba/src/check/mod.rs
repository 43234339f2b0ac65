//! Is this CelebA, and is it complete?

mod annotations;
mod checksums;
mod frequencies;
mod images;
mod splits;

use std::path::Path;

use crate::dataset::CelebA;
use crate::official;
use crate::split::SplitRule;

pub use images::bad_images;

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Status {
    /// As it should be.
    Right,
    /// Not as distributed, which may be on purpose: a part of CelebA, for example.
    Note,
    /// Not there, and not needed.
    Missing,
    /// Not usable, or not what it seems to be.
    Wrong,
}

impl Status {
    /// The status in a word.
    pub fn title(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Note => "note",
            Self::Missing => "missing",
            Self::Wrong => "WRONG",
        }
    }
}

/// One line of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Finding {
    /// What it means.
    pub status: Status,
    /// What was checked.
    pub item: String,
    /// What was found.
    pub message: String,
}

/// Checks CelebA in any of its forms: the number of images, splits and attributes against the
/// published ones, checksums of the distributed files, and the other annotations. With `deep` it
/// also decodes every image and takes the archive's checksum.
///
/// `progress` receives the number of images that were decoded since it was last called, and the
/// number of all images. A check never fails: what is wrong is a finding with [`Status::Wrong`].
pub fn check(path: &Path, deep: bool, progress: impl Fn(usize, usize) + Sync) -> Vec<Finding> {
    let mut findings = Findings(vec![]);
    match CelebA::open_with_missing(path, SplitRule::Official) {
        Ok(data) => check_data(&data, deep, progress, &mut findings),
        Err(e) => {
            findings.add(Status::Wrong, "form", e);
            checksums::check_without_data(path, &mut findings);
        }
    }
    findings.0
}

fn check_data(
    data: &CelebA,
    deep: bool,
    progress: impl Fn(usize, usize) + Sync,
    findings: &mut Findings,
) {
    let drawn = if data.is_synthetic() { ", drawn faces" } else { "" };
    findings.add(Status::Right, "form", format!("{}{drawn}", data.layout().title()));
    let complete = data.len() == official::FACES;
    findings.add(
        if complete { Status::Right } else { Status::Note },
        "images",
        format!("{} of CelebA's {}", data.len(), official::FACES),
    );
    images::check_unlisted(data, findings);
    images::check_missing(data, findings);
    splits::check(data, complete, findings);
    frequencies::check(data, complete, findings);
    checksums::check_checksums(data.root(), complete, findings);
    annotations::check_identities(data, complete, findings);
    annotations::check_landmarks_and_boxes(data, findings);
    if deep {
        checksums::check_archive(data.root(), complete, findings);
        images::check_decoding(data, progress, findings);
    }
}

/// The findings of a check, in order.
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, status: Status, item: impl Into<String>, message: impl ToString) {
        self.0.push(Finding { status, item: item.into(), message: message.to_string() });
    }
}
