/// What can go wrong with an attribution.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parameter is outside its range.
    #[error("{parameter} = {value} is not possible: {expected}")]
    Parameter {
        /// Its name.
        parameter: &'static str,
        /// Its value.
        value: String,
        /// What is possible.
        expected: &'static str,
    },
    /// The model has no such output.
    #[error(
        "output {target} is asked for, but the model's result has the shape {shape:?}; \
         [B, K] with K > {target} is needed"
    )]
    Target {
        /// The column.
        target: usize,
        /// The result's shape.
        shape: Vec<usize>,
    },
    /// A tensor does not fit the others.
    #[error("{what} has the shape {got:?}; {expected} is needed")]
    Shape {
        /// The tensor.
        what: &'static str,
        /// Its shape.
        got: Vec<usize>,
        /// What fits.
        expected: String,
    },
    /// candle returned no gradient.
    #[error(
        "the model's result has no gradient in {0}: it does not depend on it, or goes through an \
         operation whose gradient candle drops"
    )]
    NoGradient(&'static str),
    /// The model or a method overflows somewhere between the input and its output.
    #[error(
        "{0} has values that are not finite: the model, the gradient of one of its operations, or \
         the method overflows there"
    )]
    NotFinite(String),
    /// A method cannot go through a layer.
    #[error("{method} cannot go through layer {layer:?}: {reason}")]
    Layer {
        /// The method.
        method: &'static str,
        /// The layer's name.
        layer: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A model has no layer of this name.
    #[error("there is no layer {name:?}; there are {layers:?}")]
    NoLayer {
        /// The name that was asked for.
        name: String,
        /// The names of all layers.
        layers: Vec<String>,
    },
    /// A tensor of a network is missing.
    #[error("there is no tensor {name:?}; the paper's network needs it")]
    NoTensor {
        /// Its name.
        name: String,
    },
    /// A fit or a comparison has no solution.
    #[error("{0}")]
    Degenerate(&'static str),
    /// A regression has no solution, or its penalty is outside its range.
    #[error(transparent)]
    Stats(#[from] foresee_stats::Error),
    /// An error of candle or of the model.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn shape(what: &'static str, got: &[usize], expected: impl Into<String>) -> Self {
        Self::Shape { what, got: got.to_vec(), expected: expected.into() }
    }
}

/// [`Error::Parameter`] unless the parameter's condition holds.
pub(crate) fn check(
    holds: bool,
    parameter: &'static str,
    value: impl ToString,
    expected: &'static str,
) -> Result<()> {
    match holds {
        true => Ok(()),
        false => Err(Error::Parameter { parameter, value: value.to_string(), expected }),
    }
}
