use std::path::PathBuf;

/// What can go wrong with a baseline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is outside its range.
    #[error("{key} = {value} is not possible: {expected}")]
    Config {
        /// The setting's name.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is possible.
        expected: String,
    },
    /// A file of weights cannot be read.
    #[error("{path}: {reason}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor of a file does not fit the network.
    #[error(
        "{path}: tensor `{tensor}` {reason}; choose the settings of the network that the file was \
         made for",
        path = .path.display()
    )]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A support vector machine could not be trained.
    #[error(transparent)]
    Svm(#[from] libsvm_rs::SvmError),
    /// The graph of a network failed.
    #[error(transparent)]
    Graph(#[from] foresee_graph::Error),
    /// An error of candle itself.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a training, which is the trainer's.
impl From<Error> for foresee_model::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Candle(error) => error.into(),
            error => Self::Trainable(Box::new(error)),
        }
    }
}

/// Refuses a setting that is not in its range.
pub(crate) fn check(
    key: &'static str,
    value: impl ToString,
    is_possible: bool,
    expected: impl Into<String>,
) -> Result<()> {
    match is_possible {
        true => Ok(()),
        false => Err(Error::Config { key, value: value.to_string(), expected: expected.into() }),
    }
}
