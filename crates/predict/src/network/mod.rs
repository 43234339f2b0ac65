//! The predictability of a network with attention masks, under pruning, mask transformation and
//! noise.

mod image;
mod observations;
mod operations;
mod pruning;
mod rows;
mod study;

pub use self::image::{ImageExplanation, first_order_change};
pub use self::observations::Observations;
pub use self::operations::Progress;
#[cfg(feature = "graph")]
pub(crate) use self::rows::Rows;
pub use self::study::{NetworkStudy, NetworkStudySettings};
