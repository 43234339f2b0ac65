#![doc = include_str!("../README.md")]

mod annotations;
mod archive;
mod attributes;
mod batches;
mod cache;
mod check;
mod dataset;
mod decode;
mod error;
#[cfg(feature = "frames")]
mod frame;
#[cfg(feature = "hub")]
pub mod hub;
mod places;
mod positioned;
mod random;
mod scan;
mod shards;
pub mod synthetic;

pub use annotations::{BOX, LANDMARKS};
pub use attributes::{ATTRIBUTES, Labels, attribute_index, display_name};
pub use batches::{Batch, BatchOptions, Batches};
pub use cache::Cache;
pub use check::{Finding, Status, bad_images, check};
pub use dataset::{CelebA, Split, SplitRule};
pub use decode::{Crop, Normalisation, Preprocessing, View};
pub use error::{Error, Result};
