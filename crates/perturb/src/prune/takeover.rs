/// What the kept channels do in place of the pruned ones.
/// [`ChannelStatistics::cuts`](crate::ChannelStatistics::cuts) computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Takeover {
    /// Nothing, as in the paper: what a pruned channel contributed is missing.
    #[default]
    Nothing,
    /// The most correlated of the remaining channels takes over, by its regression on the pruned
    /// one: z_a ≈ s·z_b + t.
    Partner,
    /// All kept channels do, by least squares: the masks' convolution from the covariance of the
    /// features, then the readout from that of the pooled products. Both covariances are those of
    /// the unpruned network, whose masks the kept channels approximate.
    LeastSquares,
}

impl Takeover {
    /// All takeovers.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Partner, Self::LeastSquares];

    /// The name in files, settings and commands.
    pub fn id(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Partner => "partner",
            Self::LeastSquares => "least_squares",
        }
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Nothing => "nothing takes over",
            Self::Partner => "its partner takes over",
            Self::LeastSquares => "all kept take over (least squares)",
        }
    }

    /// The takeover with this id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|takeover| takeover.id() == id)
    }
}

#[cfg(feature = "clap")]
impl clap::ValueEnum for Takeover {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let help = match self {
            Self::Nothing => "Nothing, as in the paper",
            Self::Partner => "The most correlated channel takes over the role of the one that goes",
            Self::LeastSquares => "All that are left do, by least squares",
        };
        Some(clap::builder::PossibleValue::new(self.id()).help(help))
    }
}
