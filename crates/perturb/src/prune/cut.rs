use foresee_kernels::ChannelCut;
use foresee_model::Reconstruction;

/// How a smaller network is made of a larger one.
#[derive(Debug, Clone, PartialEq)]
pub enum Cut {
    /// Only these channels are left, ascending. What the others did is missing.
    Plain(Vec<usize>),
    /// Fewer channels are left, and they take over what the others did.
    With(Reconstruction),
}

impl Cut {
    /// The channels that are left, ascending.
    pub fn kept(&self) -> &[usize] {
        match self {
            Self::Plain(kept) => kept,
            Self::With(stand_in) => &stand_in.kept,
        }
    }

    /// The same for the kernels.
    pub(crate) fn of_channels(&self) -> ChannelCut<'_> {
        match self {
            Self::Plain(kept) => ChannelCut::plain(kept),
            Self::With(stand_in) => stand_in.channel_cut(),
        }
    }
}
