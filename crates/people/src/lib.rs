#![doc = include_str!("../README.md")]

mod answer;
mod assignment;
mod draws;
mod error;
mod exclusion;
mod plan;
mod reliability;
mod scores;
mod simulated;
mod study;

pub use answer::{Answer, Items, Respondent};
pub use assignment::{Assigned, Assignment, Item};
pub use error::{Error, Result};
pub use exclusion::{Exclusion, ExclusionRules, Finished};
pub use foresee_stats::{Interval, LEVEL, Matrix};
pub use plan::{Plan, Power, needed};
pub use reliability::{BINS, ReliabilityBin, reliability};
pub use scores::PeopleScore;
pub use simulated::SimulatedPeople;
pub use study::{Difference, Group, GroupScores, PeopleStudy, ScoreOfPeople, Settings};
