//! Semantic channel pruning: plans, and accuracy over the number of pruned channels.

use foresee_perturb::{PruneOrder, PrunePlan, PruneRule, PruneStep, Takeover, Victim};
use foresee_report::{DataFrame, Record, record};

use super::{PerAttribute, Row};
use crate::error::Result;

record! {
    /// A step of a plan: the next pair, and which of it goes.
    #[derive(Debug, Clone, PartialEq)]
    pub struct PlannedStep {
        /// From 1.
        pub order: usize,
        /// The pair's channel with the smaller index.
        pub first: usize,
        /// The other one.
        pub second: usize,
        /// ρ of the pair.
        pub correlation: f64,
        /// Norm of the first.
        pub norm_first: f64,
        /// Norm of the second.
        pub norm_second: f64,
        /// The channel that goes.
        pub pruned: usize,
    }
}

/// The order in which a semantic rule prunes, with the reason of each step.
#[derive(Debug, Clone, PartialEq)]
pub struct SemanticPlan {
    victim: Victim,
    steps: Vec<PlannedStep>,
}

impl SemanticPlan {
    /// Of a plan.
    pub fn new(plan: &PrunePlan) -> Self {
        let step = |(i, step): (usize, &PruneStep)| PlannedStep {
            order: i + 1,
            first: step.pair[0],
            second: step.pair[1],
            correlation: step.correlation,
            norm_first: step.norms[0],
            norm_second: step.norms[1],
            pruned: step.victim,
        };
        Self { victim: plan.victim, steps: plan.steps.iter().enumerate().map(step).collect() }
    }

    /// Where the plan for a victim lies.
    pub const fn path(victim: Victim) -> &'static str {
        match victim {
            Victim::Lower => "data/prune_plan_lower.csv",
            Victim::Higher => "data/prune_plan_higher.csv",
        }
    }

    /// The channels, first to go first.
    pub fn order(&self) -> PruneOrder {
        PruneOrder {
            rule: self.victim.rule(),
            seed: None,
            order: self.steps.iter().map(|step| step.pruned).collect(),
        }
    }

    /// The file's columns.
    pub(crate) fn to_frame(&self) -> Result<DataFrame> {
        Ok(PlannedStep::to_frame(&self.steps)?)
    }

    /// The plan for a victim from the columns of its file.
    pub(crate) fn from_frame(victim: Victim, frame: &DataFrame) -> Result<Self> {
        Ok(Self { victim, steps: PlannedStep::from_frame(frame)? })
    }
}

record! {
    /// A point of Figure 7.
    #[derive(Debug, Clone, PartialEq)]
    pub struct PruningPoint {
        /// What orders the channels.
        #[id]
        pub rule: PruneRule,
        /// What takes over.
        #[id]
        pub takeover: Takeover,
        /// Of a random order.
        pub seed: Option<u64>,
        /// Channels pruned.
        pub pruned: usize,
        /// Test images.
        pub images: usize,
        /// Mean accuracy, a share.
        pub accuracy: f64,
        /// Of it, over images.
        pub standard_error: f64,
        /// Accuracy of the majority class of the training faces, on these images.
        pub majority_accuracy: f64,
    }
}

impl Row for PruningPoint {
    const PATH: &'static str = "data/channel_pruning.csv";
}

/// Figure 7: all points, with the accuracy of each attribute.
pub type PruningCurves = PerAttribute<PruningPoint>;

record! {
    /// How many attributes of a test image are predicted correctly at a point of Figure 7.
    #[derive(Debug, Clone, PartialEq)]
    pub struct PrunedImage {
        /// The image.
        pub image: String,
        /// What orders the channels.
        #[id]
        pub rule: PruneRule,
        /// Of a random order.
        pub seed: Option<u64>,
        /// What takes over.
        #[id]
        pub takeover: Takeover,
        /// Channels pruned.
        pub pruned: usize,
        /// Attributes predicted correctly.
        pub correct: usize,
    }
}

impl Row for PrunedImage {
    const PATH: &'static str = "data/channel_pruning_by_image.csv";
}
