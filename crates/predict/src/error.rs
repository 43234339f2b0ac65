/// What a model or an operation may fail with: any error.
pub type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong when a model's predictability is measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model under test, or an operation on it, failed.
    #[error("{what}: {source}")]
    Model {
        /// What was done.
        what: String,
        /// The model's own error.
        source: AnyError,
    },
    /// A table has another shape than what it belongs to.
    #[error("{what}: expected {expected}, got {got}")]
    Shape {
        /// Which table.
        what: String,
        /// The shape needed.
        expected: String,
        /// The shape given.
        got: String,
    },
    /// A table holds a value that it must not.
    #[error("{what} holds {value}, expected {expected}")]
    Value {
        /// Which table.
        what: String,
        /// The value.
        value: f64,
        /// What is expected.
        expected: &'static str,
    },
    /// A least-squares problem has no solution.
    #[error(
        "{0} has no least-squares solution: fewer different points than coefficients, or values that are not finite"
    )]
    NoFit(&'static str),
    /// Too little to measure anything.
    #[error("{0}")]
    Empty(&'static str),
    /// An error of a statistic.
    #[error(transparent)]
    Analysis(#[from] foresee_analysis::Error),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
