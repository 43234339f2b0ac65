/// What can go wrong with an operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// A text names no tone curve.
    #[error("`{text}` is not a tone curve: {problem}; write `{examples}`")]
    Curve {
        /// The text.
        text: String,
        /// What is wrong with it.
        problem: String,
        /// One example of each family.
        examples: String,
    },
    /// A table does not fit the network.
    #[error("{what} is for {got} channels, but the network has {channels}")]
    Channels {
        /// The table.
        what: &'static str,
        /// Channels it was made for.
        got: usize,
        /// Channels of the network.
        channels: usize,
    },
    /// There is no such channel.
    #[error("there is no channel {channel}: the network has {channels}, from 0")]
    NoChannel {
        /// The channel.
        channel: usize,
        /// Channels of the network.
        channels: usize,
    },
    /// A table of channel statistics has another shape than the others.
    #[error(
        "{what} is not for {attributes} attributes and {channels} channels, \
         as the other channel statistics are"
    )]
    Table {
        /// The table.
        what: &'static str,
        /// C.
        channels: usize,
        /// K.
        attributes: usize,
    },
    /// Two sweeps that are compared do not have the same settings.
    #[error(
        "setting {baseline} cannot be the baseline of {validation} settings on validation images \
         and {test} on test images"
    )]
    Settings {
        /// The index of the baseline.
        baseline: usize,
        /// Settings that were tallied on validation images.
        validation: usize,
        /// Settings that were tallied on test images.
        test: usize,
    },
    /// Labels are of another kind than those that were counted before.
    #[error(
        "a tally counts attributes with labels [B, K] or images of one class each with classes \
         [B]: {0}"
    )]
    Labels(&'static str),
    /// Settings that are compared were not all judged on the same images.
    #[error("the settings were judged on different numbers of images")]
    DifferentImages,
    /// A value is NaN or infinite.
    #[error("{0}: a value is not finite; the network's weights or the images are damaged")]
    NotFinite(&'static str),
    /// Gates were found in another graph than they are used in.
    #[error("gate {gate} is none of this graph's: find the gates of the graph that is run")]
    OtherGates {
        /// Its place among the gates that were given.
        gate: usize,
    },
    /// Nothing is left that could take over the role of pruned channels.
    #[error("all channels are pruned, so that none is left to take over their role")]
    NothingLeft,
    /// A channel group of a graph cannot be judged.
    #[error("the channels of `{group}`: {problem}")]
    Group {
        /// The group.
        group: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An error of a graph, such as a group that is fixed.
    #[error(transparent)]
    Graph(#[from] foresee_graph::Error),
    /// An error of the channels' statistics.
    #[error(transparent)]
    Analysis(#[from] foresee_analysis::Error),
    /// An error of a kernel, such as a channel that the features do not have.
    #[error(transparent)]
    Kernel(#[from] foresee_kernels::Error),
    /// An error of the model's metrics, such as a logit that is NaN.
    #[error(transparent)]
    Model(#[from] foresee_model::Error),
    /// An error of candle or of the model.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
