use super::takeover::Takeover;

/// The rule by which channels are ordered for pruning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum PruneRule {
    /// The paper's semantic pruning: of each correlated pair the channel with the lower norm goes.
    Lower,
    /// Semantic pruning, but the channel with the higher norm goes.
    Higher,
    /// The channel whose filter has the lowest L1 norm goes first.
    #[cfg_attr(feature = "serde", serde(rename = "l1"))]
    FilterNorm,
    /// The channel whose readout weights have the lowest L1 norm goes first.
    #[cfg_attr(feature = "serde", serde(rename = "readout"))]
    ReadoutNorm,
    /// Channel selection by the lasso, after He, Zhang & Sun (2017).
    Lasso,
    /// A random order.
    Random,
}

impl PruneRule {
    /// All rules.
    pub const ALL: [Self; 6] =
        [Self::Lower, Self::Higher, Self::FilterNorm, Self::ReadoutNorm, Self::Lasso, Self::Random];

    /// The name in files and settings.
    pub fn id(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Higher => "higher",
            Self::FilterNorm => "l1",
            Self::ReadoutNorm => "readout",
            Self::Lasso => "lasso",
            Self::Random => "random",
        }
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Lower => "semantic, lower norm goes",
            Self::Higher => "semantic, higher norm goes",
            Self::FilterNorm => "lowest filter norm first",
            Self::ReadoutNorm => "lowest readout norm first",
            Self::Lasso => "lasso selection (after He et al., 2017)",
            Self::Random => "random",
        }
    }

    /// The rule with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.id() == id)
    }

    /// The takeovers that orders of this rule are measured with.
    pub fn takeovers(self) -> &'static [Takeover] {
        match self {
            Self::ReadoutNorm => &[Takeover::Nothing],
            Self::FilterNorm => &[Takeover::Nothing, Takeover::LeastSquares],
            Self::Lower | Self::Higher | Self::Lasso | Self::Random => &Takeover::COMPARED,
        }
    }
}

/// The member of a correlated pair that semantic pruning removes. The paper says both: the channel
/// with the lower norm in Figure 3 and its section, the one with the higher in the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Victim {
    /// The channel with the lower norm.
    #[default]
    Lower,
    /// The channel with the higher norm.
    Higher,
}

impl Victim {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Lower, Self::Higher];

    /// The rule of pruning that removes it.
    pub fn rule(self) -> PruneRule {
        match self {
            Self::Lower => PruneRule::Lower,
            Self::Higher => PruneRule::Higher,
        }
    }

    /// The name in files, settings and commands.
    pub fn id(self) -> &'static str {
        self.rule().id()
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        self.rule().title()
    }

    /// The victim with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|victim| victim.id() == id)
    }
}

#[cfg(feature = "clap")]
impl clap::ValueEnum for Victim {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.id()))
    }
}

/// The norm of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Norm {
    /// L1 norm of the channel's filter in the last convolution.
    Filter,
    /// L1 norm of the channel's readout weights over all attributes.
    Readout,
}

impl Norm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Filter, Self::Readout];

    /// The rule of pruning by this norm, lowest first.
    pub fn rule(self) -> PruneRule {
        match self {
            Self::Filter => PruneRule::FilterNorm,
            Self::Readout => PruneRule::ReadoutNorm,
        }
    }

    /// The name in files and settings.
    pub fn id(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Readout => "readout",
        }
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Filter => "filter norm",
            Self::Readout => "readout norm",
        }
    }

    /// The norm with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|norm| norm.id() == id)
    }
}
