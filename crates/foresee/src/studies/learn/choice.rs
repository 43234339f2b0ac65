//! The strategies of the study: those of pools and those of streams.

use foresee_active::{Strategy, StreamRule};

/// What chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// From all faces that have no label.
    Pool(Strategy),
    /// Face by face.
    Stream(StreamRule),
}

impl Choice {
    /// What all others are compared with.
    pub const RANDOM: Self = Self::Pool(Strategy::Random);

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let pools = Strategy::ALL.into_iter().map(Self::Pool);
        pools.chain(StreamRule::ALL.into_iter().map(Self::Stream))
    }

    pub fn id(self) -> &'static str {
        match self {
            Self::Pool(strategy) => strategy.id(),
            Self::Stream(rule) => rule.id(),
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Pool(strategy) => strategy.title(),
            Self::Stream(rule) => rule.title(),
        }
    }

    pub fn from_id(id: &str) -> Option<Self> {
        Self::all().find(|choice| choice.id() == id)
    }

    pub fn needs_committee(self) -> bool {
        matches!(self, Self::Stream(rule) if rule.needs_committee())
    }

    pub fn asks_the_model(self) -> bool {
        self != Self::RANDOM
    }
}
