//! Channel pruning: which channels go, in which order, and what the kept ones take over.

mod cut;
mod order;
mod plan;
mod rule;
mod statistics;
mod study;
mod takeover;

pub use self::cut::Cut;
pub use self::order::PruneOrder;
pub use self::plan::{PrunePlan, PruneStep};
pub use self::rule::{Norm, PruneRule, Victim};
pub use self::statistics::ChannelStatistics;
pub(crate) use self::statistics::regress;
pub use self::study::{PruneCurve, PruneInputs, PruneStudy};
pub use self::takeover::Takeover;
