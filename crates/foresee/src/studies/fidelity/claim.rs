//! A claim of the paper, or of this project beyond it.

use foresee_perturb::{PruneRule, Takeover};
use foresee_stats::{Interval, Verdict};

use crate::error::Result;

/// What is claimed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ClaimKind {
    /// The network is as accurate as the paper's baselines.
    Accuracy,
    /// Masks cost no accuracy.
    MaskCost,
    /// Random pruning degrades accuracy linearly.
    RandomIsLinear,
    /// One way of pruning is better than another.
    Pruning(PruningClaim),
    /// With least squares, half of the channels cost little.
    HalfOfTheChannels,
    /// Mask transformation makes the network robust, at any σ.
    Transformation,
    /// The same at one σ.
    TransformationAt(f64),
    /// Two attributes share channels.
    SharedChannels(&'static str, &'static str),
    /// Attributes with similar masks occur together.
    OccurTogether,
    /// Attributes with similar masks occur together or exclude each other.
    OccurTogetherOrNever,
    /// Attributes of one kind have similar masks.
    Groups,
    /// Masks lie where their attribute is.
    Region,
    /// Masks lie where their attribute is more than other attributes' masks do.
    RegionAgainstOthers,
}

/// A way of pruning: what orders the channels, and what takes over.
pub(crate) type Way = (PruneRule, Takeover);

/// Which way of pruning is better than which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PruningClaim {
    LowerAgainstChance,
    HigherAgainstChance,
    LowerAgainstFilterNorm,
    LowerAgainstReadoutNorm,
    PartnerRepairs,
    LeastSquaresRepair,
    LeastSquaresAgainstChanceWithout,
    PartnerAgainstChance,
    LeastSquaresAgainstChance,
    LeastSquaresAgainstLasso,
}

impl PruningClaim {
    pub const ALL: [Self; 10] = [
        Self::LowerAgainstChance,
        Self::HigherAgainstChance,
        Self::LowerAgainstFilterNorm,
        Self::LowerAgainstReadoutNorm,
        Self::PartnerRepairs,
        Self::LeastSquaresRepair,
        Self::LeastSquaresAgainstChanceWithout,
        Self::PartnerAgainstChance,
        Self::LeastSquaresAgainstChance,
        Self::LeastSquaresAgainstLasso,
    ];

    /// The way that is better, and the one that it is better than.
    pub fn ways(self) -> [Way; 2] {
        use PruneRule::{FilterNorm, Higher, Lasso, Lower, Random, ReadoutNorm};
        use Takeover::{LeastSquares, Nothing, Partner};
        match self {
            Self::LowerAgainstChance => [(Lower, Nothing), (Random, Nothing)],
            Self::HigherAgainstChance => [(Higher, Nothing), (Random, Nothing)],
            Self::LowerAgainstFilterNorm => [(Lower, Nothing), (FilterNorm, Nothing)],
            Self::LowerAgainstReadoutNorm => [(Lower, Nothing), (ReadoutNorm, Nothing)],
            Self::PartnerRepairs => [(Lower, Partner), (Lower, Nothing)],
            Self::LeastSquaresRepair => [(Lower, LeastSquares), (Lower, Nothing)],
            Self::LeastSquaresAgainstChanceWithout => [(Lower, LeastSquares), (Random, Nothing)],
            Self::PartnerAgainstChance => [(Lower, Partner), (Random, Partner)],
            Self::LeastSquaresAgainstChance => [(Lower, LeastSquares), (Random, LeastSquares)],
            Self::LeastSquaresAgainstLasso => [(Lower, LeastSquares), (Lasso, LeastSquares)],
        }
    }

    fn id(self) -> &'static str {
        match self {
            Self::LowerAgainstChance => "lower_against_chance",
            Self::HigherAgainstChance => "higher_against_chance",
            Self::LowerAgainstFilterNorm => "lower_against_filter_norm",
            Self::LowerAgainstReadoutNorm => "lower_against_readout_norm",
            Self::PartnerRepairs => "partner_repairs",
            Self::LeastSquaresRepair => "least_squares_repair",
            Self::LeastSquaresAgainstChanceWithout => "least_squares_against_chance_without",
            Self::PartnerAgainstChance => "partner_against_chance",
            Self::LeastSquaresAgainstChance => "least_squares_against_chance",
            Self::LeastSquaresAgainstLasso => "least_squares_against_lasso",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::LowerAgainstChance => {
                "semantic pruning, lower norm goes, selects better than chance"
            }
            Self::HigherAgainstChance => {
                "semantic pruning, higher norm goes, selects better than chance"
            }
            Self::LowerAgainstFilterNorm => {
                "semantic pruning (lower) selects better than plain pruning by filter norm"
            }
            Self::LowerAgainstReadoutNorm => {
                "semantic pruning (lower) selects better than plain pruning by readout norm"
            }
            Self::PartnerRepairs => {
                "beyond the paper: the partner's takeover repairs semantic pruning (lower)"
            }
            Self::LeastSquaresRepair => {
                "beyond the paper: least squares repair semantic pruning (lower)"
            }
            Self::LeastSquaresAgainstChanceWithout => {
                "beyond the paper: semantic pruning (lower) with least squares beats random \
                 pruning without"
            }
            Self::PartnerAgainstChance => {
                "beyond the paper: with the partner taking over, lower selects better than chance"
            }
            Self::LeastSquaresAgainstChance => {
                "beyond the paper: with least squares, lower selects better than chance"
            }
            Self::LeastSquaresAgainstLasso => {
                "beyond the paper: with least squares, lower selects better than the lasso (after \
                 He et al., 2017)"
            }
        }
    }
}

impl ClaimKind {
    /// The claim for people.
    pub fn title(self) -> String {
        let text = match self {
            Self::Accuracy => "accuracy is at the level of the baselines",
            Self::MaskCost => {
                "masks cost no accuracy (against average pooling, the baseline that is trained \
                 alike)"
            }
            Self::RandomIsLinear => "random pruning degrades accuracy linearly",
            Self::Pruning(claim) => claim.title(),
            Self::HalfOfTheChannels => {
                "beyond the paper: with least squares, half of the channels (lower) cost at most \
                 1 point"
            }
            Self::Transformation => "mask transformation makes the network robust",
            Self::TransformationAt(sigma) => {
                return format!("{}, σ = {sigma}", Self::Transformation.title());
            }
            Self::SharedChannels(a, b) => return format!("{a} shares channels with {b}"),
            Self::OccurTogether => "attributes with similar masks occur together (Table 4)",
            Self::OccurTogetherOrNever => {
                "attributes with similar masks occur together or exclude each other (Table 4)"
            }
            Self::Groups => "attributes of one kind have similar masks (Table 4)",
            Self::Region => "masks of the top channels lie where the attribute is (drawn faces)",
            Self::RegionAgainstOthers => {
                "masks of the top channels lie where the attribute is more than other \
                 attributes' masks do (drawn faces)"
            }
        };
        text.into()
    }

    /// The claim in files.
    pub fn id(self) -> String {
        let text = match self {
            Self::Accuracy => "accuracy",
            Self::MaskCost => "mask_cost",
            Self::RandomIsLinear => "random_is_linear",
            Self::Pruning(claim) => claim.id(),
            Self::HalfOfTheChannels => "half_of_the_channels",
            Self::Transformation => "transformation",
            Self::TransformationAt(sigma) => return format!("transformation_{sigma}"),
            Self::SharedChannels(a, b) => {
                return format!("shared_channels_{a}_{b}").to_lowercase();
            }
            Self::OccurTogether => "occur_together",
            Self::OccurTogetherOrNever => "occur_together_or_never",
            Self::Groups => "groups",
            Self::Region => "region",
            Self::RegionAgainstOthers => "region_against_others",
        };
        text.into()
    }
}

/// A claim tested for one variant of the study.
pub(crate) struct Claim {
    pub kind: ClaimKind,
    pub variant: String,
    /// What was measured, with its unit.
    pub statistic: String,
    pub interval: Interval,
    /// The estimate of each seed alone.
    pub seeds: Vec<f64>,
    pub verdict: Verdict,
    pub remark: String,
}

/// What the test of a claim found.
pub(crate) struct Evidence {
    pub statistic: String,
    pub interval: Interval,
    pub seeds: Vec<f64>,
    pub verdict: Verdict,
    pub remark: String,
}

impl Claim {
    /// A claim whose statistic could not be computed is listed with the reason.
    pub fn new(kind: ClaimKind, variant: &str, found: Result<Evidence>) -> Self {
        let found = found.unwrap_or_else(|e| Evidence::not_testable(&format!("{e:#}")));
        let Evidence { statistic, interval, seeds, verdict, remark } = found;
        Self { kind, variant: variant.into(), statistic, interval, seeds, verdict, remark }
    }
}

impl Evidence {
    /// None, and why.
    pub fn not_testable(why: &str) -> Self {
        Self {
            statistic: "–".into(),
            interval: Interval::point(f64::NAN),
            seeds: vec![],
            verdict: Verdict::NotTestable,
            remark: why.into(),
        }
    }
}
