/// How items are chosen from a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// At random: what the others are compared with.
    Random,
    /// The lowest probability of the likelier answer:
    /// [`least_confidence`](crate::least_confidence).
    LeastConfidence,
    /// The smallest difference between the two likeliest answers: [`margin`](crate::margin).
    Margin,
    /// The highest entropy: [`entropy`](crate::entropy).
    Entropy,
    /// The longest expected gradient: [`expected_gradient`](crate::expected_gradient()).
    ExpectedGradient,
    /// Far from all that is labelled: [`k_centre`](crate::k_centre()).
    KCentre,
    /// Uncertain and diverse: [`badge`](crate::badge()).
    Badge,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Self; 7] = [
        Self::Random,
        Self::LeastConfidence,
        Self::Margin,
        Self::Entropy,
        Self::ExpectedGradient,
        Self::KCentre,
        Self::Badge,
    ];

    /// The name in files and commands.
    pub fn id(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::LeastConfidence => "least_confidence",
            Self::Margin => "margin",
            Self::Entropy => "entropy",
            Self::ExpectedGradient => "expected_gradient",
            Self::KCentre => "k_centre",
            Self::Badge => "badge",
        }
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::LeastConfidence => "least confidence",
            Self::Margin => "margin",
            Self::Entropy => "entropy",
            Self::ExpectedGradient => "expected gradient",
            Self::KCentre => "k-centre",
            Self::Badge => "BADGE",
        }
    }

    /// The strategy with this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.id() == id)
    }

    /// Whether the model has to answer for the pool.
    pub fn asks_the_model(self) -> bool {
        self != Self::Random
    }
}
