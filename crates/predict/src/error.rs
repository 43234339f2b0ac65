/// What a model or an operation may fail with: any error.
pub type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong when a model's predictability is measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model under test, or an operation on it, failed.
    #[error("{what}: {source}")]
    Model {
        /// The operation, or the model itself.
        what: String,
        /// The model's own error.
        source: AnyError,
    },
    /// A table has another shape than what it belongs to.
    #[error("{what}: expected {expected}, got {got}")]
    Shape {
        /// The table.
        what: String,
        /// The shape needed.
        expected: String,
        /// The shape given.
        got: String,
    },
    /// A table holds a value that it must not.
    #[error("{what} holds {value}, expected {expected}")]
    Value {
        /// The table.
        what: String,
        /// The value.
        value: f64,
        /// The values that are possible.
        expected: &'static str,
    },
    /// A least-squares problem has no solution.
    #[error(
        "{0} has no least-squares solution: fewer different points than coefficients, \
         or values that are not finite"
    )]
    NoFit(&'static str),
    /// Too few items, operations or data sets to measure anything.
    #[error("{0}")]
    Empty(&'static str),
    /// Two forecasts are compared, but one of them was not made.
    #[error("there is no forecast `{0}`")]
    NoForecast(String),
    /// An error of a statistic.
    #[error(transparent)]
    Statistics(#[from] foresee_stats::Error),
}

impl Error {
    /// Adds what was done to an error of the model under test.
    pub(crate) fn of_model<E: Into<AnyError>>(what: &str) -> impl FnOnce(E) -> Self + use<E> {
        let what = what.to_owned();
        |source| Self::Model { what, source: source.into() }
    }
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
