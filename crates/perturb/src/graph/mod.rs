//! Semantic channel pruning of any network that is a graph.

mod budget;
mod curves;
mod direction;
mod gradients;
mod masks;
mod order;
mod statistics;
mod takeover;
mod taylor;

pub use self::budget::budget_counts;
pub use self::curves::GroupCurve;
pub use self::direction::TakeoverDirection;
pub use self::gradients::{MaskedPass, UnitGradients};
pub use self::masks::UnitMasks;
pub use self::order::{GroupOrder, GroupRule};
pub use self::statistics::GroupStatistics;
pub use self::takeover::has_takeover;
pub use self::taylor::{Taylor, loss_of};
