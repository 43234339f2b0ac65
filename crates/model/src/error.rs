use std::path::PathBuf;

/// What can go wrong with a network, its training or its files.
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
        expected: &'static str,
    },
    /// A tensor of a file is missing or has another shape.
    #[error(
        "{path}: tensor `{tensor}` {reason}; this file was not made for a network of this \
         configuration",
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
    /// A file is not a model or checkpoint of Foresee, or not one that can be used.
    #[error("{path}: {reason}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A network is to be saved with a card that names other rows of its heads. A reader of the
    /// file would compute another network.
    #[error(
        "the card names other rows of the heads than the network computes; compact the network \
         first"
    )]
    CardRows,
    /// A model or checkpoint could not be written. The error names the path.
    #[error("writing {0}")]
    Write(std::io::Error),
    /// A training step computed a value that is infinite or NaN.
    #[error(
        "step {step} met values that are not finite, first in {tensor} (loss {loss}): \
         training stopped; a smaller train.learning_rate usually helps"
    )]
    NotFinite {
        /// The step, counted from 0.
        step: usize,
        /// The first tensor with such a value, in the order of the computation.
        tensor: String,
        /// The loss.
        loss: f32,
    },
    /// A reconstruction of pruned channels does not fit the network's shape.
    #[error(
        "the reconstruction from {kept} kept channels does not fit a network of {attributes} \
         attributes and {channels} channels"
    )]
    Reconstruction {
        /// K of the network.
        attributes: usize,
        /// C of the network.
        channels: usize,
        /// The number of kept channels.
        kept: usize,
    },
    /// The class of an image is none of the network's.
    #[error(
        "image {image} of the batch is of class {class}, but the classes are 0 to K - 1 for \
         K = {count}"
    )]
    Class {
        /// The image's index in its batch.
        image: usize,
        /// Its class.
        class: i64,
        /// K, the number of classes.
        count: usize,
    },
    /// A logit is NaN.
    #[error(
        "logit {class} of image {image} of the batch is NaN: the network's weights \
         or the image are damaged"
    )]
    NanLogit {
        /// The image's index in its batch.
        image: usize,
        /// The class or the attribute.
        class: usize,
    },
    /// A label is no share of a yes.
    #[error(
        "label {attribute} of image {image} of the batch is {value}, but must lie in 0 to 1 (no to \
         yes); where a file says -1 for no, give 0"
    )]
    Label {
        /// The image's index in its batch.
        image: usize,
        /// The attribute.
        attribute: usize,
        /// Its label.
        value: f32,
    },
    /// A network that is not this crate's failed in its training.
    #[error(transparent)]
    Trainable(Box<dyn std::error::Error + Send + Sync>),
    /// A rank was given images that are not its share of the batch.
    #[error(
        "a rank was given {found} images, but its share of the batch are {expected}, on the CPU"
    )]
    Share {
        /// Images that were given.
        found: usize,
        /// Images of the rank's micro-batches.
        expected: usize,
    },
    /// A checkpoint's order of channels leaves some out or names some twice.
    #[error("the checkpoint's `semantic.order` is no order of the channels: it is damaged")]
    Order,
    /// This network cannot be trained by several ranks.
    #[error("only the paper's network can be trained in micro-batches or by several ranks")]
    NotShared,
    /// Ranks that train together have lost each other.
    #[error(transparent)]
    Ranks(#[from] foresee_ranks::Error),
    /// Metrics need at least one prediction.
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
