//! Networks of other people: ONNX files, the images that they are given, and what is done with
//! them.

pub(crate) mod classes;
pub(crate) mod explain;
pub(crate) mod folder;
pub(crate) mod images;
pub(crate) mod inspect;
pub(crate) mod labels;
mod layers;
pub(crate) mod network;
pub(crate) mod predict;
pub(crate) mod prune;
pub(crate) mod reader;
pub(crate) mod subject;
mod text;
pub(crate) mod transform;
pub(crate) use self::text::aligned;
