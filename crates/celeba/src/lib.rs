#![doc = include_str!("../README.md")]

mod alignment;
mod annotations;
mod archive;
mod attributes;
mod batches;
mod cache;
mod check;
mod checksum;
#[cfg(feature = "frames")]
mod data_frame;
mod dataset;
mod error;
mod formats;
mod framing;
#[cfg(feature = "hub")]
pub mod hub;
mod image_files;
mod image_folder;
mod image_source;
mod images;
mod landmarks;
mod layout;
mod official;
mod offset_io;
mod preprocessing;
mod random;
mod repeat;
mod resize;
mod selection;
mod shards;
mod split;
pub mod synthetic;
mod view;

pub use annotations::{BOX, LANDMARKS};
pub use attributes::{ATTRIBUTES, Labels, attribute_index, display_name};
pub use batches::{Batch, BatchOptions, Batches, Epoch};
pub use cache::Cache;
pub use check::{Finding, Status, bad_images, check};
pub use dataset::CelebA;
pub use error::{Error, Result};
pub use formats::is_image_name;
pub use framing::Framing;
pub use image_files::ImageFiles;
pub use image_folder::ImageFolder;
pub use landmarks::Landmarks;
pub use layout::Layout;
pub use preprocessing::{Augmentation, Crop, Normalisation, Preprocessing};
pub use repeat::repeat;
pub use split::{Split, SplitRule};
pub use view::View;
