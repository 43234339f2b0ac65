/// What the kept channels do in place of the pruned ones, in closed form.
/// [`ChannelStatistics`](crate::ChannelStatistics) computes it for the paper's network,
/// [`GroupStatistics`](crate::GroupStatistics) for any graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Takeover {
    /// Nothing, as in the paper: what a pruned channel contributed is missing.
    #[default]
    Nothing,
    /// The most correlated of the remaining channels takes over, by the regression of the pruned
    /// one on it: z_a ≈ s·z_b + t. In a graph, where none is read together with the pruned one, its
    /// mean does.
    Partner,
    /// All kept channels take over, by least squares, where the pruned ones are read: z_P ≈ S·z_Q +
    /// t from the covariance in the unpruned network. In the paper's network the masks' convolution
    /// reads the features, and the readout the pooled products. In a graph each weight does that
    /// sums over the channels.
    LeastSquares,
    /// The mean of the pruned channel does, where it is read: z_a ≈ μ_a. In the paper's network the
    /// readout takes the means of its pooled products. The kept channels stay as they are.
    Mean,
}

impl Takeover {
    /// All takeovers.
    pub const ALL: [Self; 4] = [Self::Nothing, Self::Partner, Self::LeastSquares, Self::Mean];

    /// Those that curves of pruning compare.
    pub const COMPARED: [Self; 3] = [Self::Nothing, Self::Partner, Self::LeastSquares];

    /// The name in files, settings and commands.
    pub fn id(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Partner => "partner",
            Self::LeastSquares => "least_squares",
            Self::Mean => "mean",
        }
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Nothing => "nothing takes over",
            Self::Partner => "its partner takes over",
            Self::LeastSquares => "all kept take over (least squares)",
            Self::Mean => "its mean takes over",
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
            Self::Mean => "The mean of the channel that goes does",
        };
        Some(clap::builder::PossibleValue::new(self.id()).help(help))
    }
}
