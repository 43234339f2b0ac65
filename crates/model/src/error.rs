use std::path::PathBuf;

/// What can go wrong with a network, its training or its files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is outside its range.
    #[error("{key} = {value} is not possible: {expected}")]
    Config {
        /// The setting's name.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is possible.
        expected: &'static str,
    },
    /// A tensor of a file is missing or has another shape.
    #[error("{path}: tensor `{tensor}` {reason}; this file was not made for a network of this configuration", path = .path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is no model or checkpoint of Foresee.
    #[error("{path}: {reason}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A model or checkpoint could not be written.
    #[error("writing {path}: {reason}", path = .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Training met a number that is infinite or none at all.
    #[error(
        "step {step} met values that are not finite, first in {tensor} (loss {loss}): training stopped; a smaller train.learning_rate usually helps"
    )]
    NotFinite {
        /// The step, counted from 0.
        step: usize,
        /// The first tensor with such a value, in the order of the computation.
        tensor: String,
        /// The loss.
        loss: f32,
    },
    /// A stand-in for pruned channels is not of the network's shape.
    #[error(
        "the stand-in with {kept} kept channels does not fit a network of {attributes} attributes and {channels} channels"
    )]
    StandIn {
        /// K.
        attributes: usize,
        /// C.
        channels: usize,
        /// Kept channels.
        kept: usize,
    },
    /// Metrics were asked of no predictions at all.
    #[error("there is no image to evaluate")]
    NoImages,
    /// An operation failed.
    #[error(transparent)]
    Kernel(#[from] foresee_kernels::Error),
    /// An error of candle itself.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
