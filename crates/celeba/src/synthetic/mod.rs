//! Synthetic faces with CelebA's 40 attributes, for machines without CelebA and for studies that
//! need to know where an attribute is.
//!
//! Attributes have CelebA's frequencies and correlations, by a Gaussian copula, and each of them is
//! visible in the drawing. Pose, light, background, skin, hair and clothes vary independently of
//! the attributes. A face depends on nothing but the seed and its number.

mod appearance;
mod canvas;
mod colour;
mod dataset;
mod generator;
mod look;
mod parts;
mod population;
mod region;
mod render;

pub(crate) use dataset::seed;
pub use dataset::{UNFINISHED, is_synthetic, is_up_to_date, split_sizes, write};
pub use generator::Generator;

/// Width of a synthetic face in pixels, as of CelebA's aligned images.
pub const WIDTH: usize = 178;
/// Height of a synthetic face in pixels, as of CelebA's aligned images.
pub const HEIGHT: usize = 218;
