#![doc = include_str!("../README.md")]

mod annotations;
mod attributes;
mod batches;
mod dataset;
mod decode;
mod error;
mod random;
pub mod synthetic;

pub use attributes::{ATTRIBUTES, Labels, attribute_index, display_name};
pub use batches::{Batch, BatchOptions, Batches};
pub use dataset::{CelebA, Split, SplitRule};
pub use decode::{Normalisation, Preprocessing, View};
pub use error::{Error, Result};
