//! Channel pruning: which channels go, in which order, and what the kept ones take over.

mod cut;
mod order;
mod plan;
mod reading;
mod roles;
mod rule;
mod shares;
mod statistics;
mod study;
mod takeover;

pub use self::cut::Cut;
pub use self::order::PruneOrder;
pub(crate) use self::order::lowest_first;
pub use self::plan::{PrunePlan, PruneStep};
pub use self::reading::{Reading, ReadingCorrelation, ReadingNorm, ReadingTables};
pub(crate) use self::roles::{Roles, least_squares, most_correlated};
pub use self::rule::{Norm, PruneRule, Victim};
pub use self::shares::share_counts;
pub use self::statistics::ChannelStatistics;
pub(crate) use self::study::all_same;
pub use self::study::{PruneCurve, PruneInputs, PruneStudy};
pub use self::takeover::Takeover;
