//! The accuracy of the unpruned network for each output.

use foresee_graph::Graph;

use super::FORMAT;
use super::calibration::Images;
use crate::error::Result;
use crate::networks::folder::{Folder, Part};

/// The part, and its file.
pub(super) const PART: &str = "accuracy by output";
pub(super) const FILE: &str = "data/accuracy_by_output.csv";

/// Measures it on the images that networks are judged on, unless that is done.
///
/// # Errors
/// If the network fails or the file cannot be written.
pub(super) fn write(images: &Images, graph: &Graph, folder: &mut Folder) -> Result<()> {
    let made_from = images.task().made_from(images.calibration());
    let part = Part { name: PART, format: FORMAT, made_from };
    folder.part(&part, |files| files.write(FILE, &images.by_output(graph)?))
}
