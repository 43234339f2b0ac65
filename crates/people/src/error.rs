/// What can go wrong in a study with people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A design that cannot be balanced.
    #[error("the design: {0}")]
    Design(String),
    /// An answer, a person or a table that does not fit the items.
    #[error("{what}: {reason}")]
    Answer {
        /// What it is of.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A study that has nothing to score.
    #[error("nothing to score: {0}")]
    Empty(&'static str),
    /// Scores that could not be computed.
    #[error(transparent)]
    Scores(#[from] foresee_predict::Error),
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
