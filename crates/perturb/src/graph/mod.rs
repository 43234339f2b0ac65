//! Semantic channel pruning of any network that is a graph.

mod budget;
mod curves;
mod order;
mod statistics;
mod takeover;
mod taylor;

pub use self::budget::{Allocation, Budget, Layer};
pub use self::curves::{GroupCurve, GroupStudy, tally_group_curves};
pub use self::order::{GroupOrder, GroupRule};
pub use self::statistics::GroupStatistics;
pub use self::taylor::{Taylor, loss_of};
