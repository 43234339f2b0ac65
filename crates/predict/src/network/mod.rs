//! The predictability of a network with attention masks, under pruning, mask transformation and
//! noise.

mod operations;
mod pruning;
mod rows;
mod study;

pub use self::operations::Progress;
#[cfg(feature = "graph")]
pub(crate) use self::rows::Rows;
pub use self::study::{NetworkStudy, NetworkStudySettings};
