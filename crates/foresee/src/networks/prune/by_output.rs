//! The accuracy of the unpruned network for each output.

use foresee_graph::Graph;
use serde::Serialize;

use super::FORMAT;
use super::measures::by_output;
use crate::error::Result;
use crate::networks::calibration::Images;
use crate::networks::folder::{Folder, Part};

/// The part, and its file.
pub(super) const PART: &str = "accuracy by output";
pub(super) const FILE: &str = "data/accuracy_by_output.csv";

/// What decides it, beside images and labels.
#[derive(Serialize)]
struct Settings {
    calibration: usize,
    /// The rows have the names.
    classes_sha256: String,
}

/// Measures it on the images that networks are run on, unless that is done.
///
/// # Errors
/// If the network fails or the file cannot be written.
pub(super) fn write(images: &Images, graph: &Graph, folder: &mut Folder) -> Result<()> {
    let settings = Settings {
        calibration: images.calibration().len(),
        classes_sha256: images.task().classes.sha256(),
    };
    let part = Part { name: PART, format: FORMAT, made_from: images.task().made_from(settings) };
    folder.part(&part, |files| files.write(FILE, &by_output(images, graph)?))
}
