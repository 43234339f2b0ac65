/// How the scores of K yes/no outputs become one score of an item. Esuli & Sebastiani (2009,
/// "Active learning strategies for multi-label text classification") compare such combinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Combination {
    /// The mean over the outputs: a label of an item answers all questions at once, so that it is
    /// worth what it tells about all of them.
    #[default]
    Mean,
    /// The largest of the outputs: one uncertain output is enough.
    Max,
    /// The answers together are one of 2^K classes. With independent outputs the probability of the
    /// likeliest class is Π max(p, 1 - p). See each strategy for its score.
    Joint,
}

impl Combination {
    /// All combinations.
    pub const ALL: [Self; 3] = [Self::Mean, Self::Max, Self::Joint];

    /// The name in files and commands.
    pub fn id(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Joint => "joint",
        }
    }

    /// The name in figures and tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mean => "mean over the attributes",
            Self::Max => "largest of the attributes",
            Self::Joint => "all attributes as one class",
        }
    }

    /// The combination with this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|combination| combination.id() == id)
    }
}

/// The mean of the outputs' scores.
pub(crate) fn mean(scores: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = scores.len() as f64;
    scores.sum::<f64>() / count
}

/// The largest of the outputs' scores.
pub(crate) fn largest(scores: impl Iterator<Item = f64>) -> f64 {
    scores.fold(f64::NEG_INFINITY, f64::max)
}
