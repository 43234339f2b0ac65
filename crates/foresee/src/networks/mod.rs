//! ONNX networks, the images that they are given, and what is done with both: a module a command.

mod activation;
mod calibration;
pub(crate) mod classes;
pub(crate) mod explain;
pub(crate) mod folder;
mod image_files;
pub(crate) mod image_input;
pub(crate) mod images;
pub(crate) mod inspect;
mod label_files;
pub(crate) mod labels;
mod layers;
mod made_from;
mod manifest;
pub(crate) mod network;
pub(crate) mod notes;
mod page;
pub(crate) mod predict;
pub(crate) mod prune;
pub(crate) mod reader;
pub(crate) mod task;
pub(crate) mod transform;
