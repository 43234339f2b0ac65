//! Semantic channel pruning of any network that is a graph.

mod budget;
mod curves;
mod gradients;
mod masks;
mod order;
mod replaced;
mod statistics;
mod takeover;
mod taylor;

pub use self::budget::{Budget, Layer};
pub use self::curves::{GroupCurve, GroupStudy};
pub use self::gradients::{MaskedPass, UnitGradients};
pub use self::masks::UnitMasks;
pub use self::order::{GroupOrder, GroupRule};
pub use self::replaced::Replaced;
pub use self::statistics::GroupStatistics;
pub use self::taylor::{Taylor, loss_of};
