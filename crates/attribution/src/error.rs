/// What can go wrong with an attribution.
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
    /// The model has not one row of outputs for each input.
    #[error(
        "the model's result for {inputs} inputs has the shape {shape:?}; [{inputs}, K] is needed, \
         a row for each input"
    )]
    Rows {
        /// Inputs that were given.
        inputs: usize,
        /// The result's shape.
        shape: Vec<usize>,
    },
    /// The rows of a batch influence each other, or the model is random.
    #[error(
        "the model gives {batch} for an input in a batch, and {alone} for the input alone: the \
         rows of a batch must not influence each other (is batch norm or dropout in training \
         mode?); `Target::unchecked` goes on"
    )]
    RowsDepend {
        /// f in the batch.
        batch: f64,
        /// f alone.
        alone: f64,
    },
    /// A tensor has numbers of another type than is needed: integers cannot hold a perturbation.
    #[error("{what} is of type {got}, but {expected} is needed: convert it by `to_dtype`")]
    Type {
        /// The tensor.
        what: &'static str,
        /// Its type.
        got: &'static str,
        /// What is needed.
        expected: &'static str,
    },
    /// A tensor is on another device than the input.
    #[error("{what} is on another device than the input: move it by `to_device`")]
    Device {
        /// The tensor.
        what: &'static str,
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
    /// The gradient is not that of the model.
    #[error(
        "the gradient in {what} is {percent:.0} % off the differences of the model's own values. \
         candle 0.11 has wrong gradients, or none, for max_pool2d, avg_pool2d of sizes that it \
         does not divide, upsample_nearest1d and 2d, LayerNorm, RmsNorm, softmax_last_dim, rope, \
         scatter, and conv1d of several rows: call foresee_kernels' \
         max_pool2d, avg_pool2d, upsample_nearest2d, layer_norm, rms_norm, softmax_last_dim, or \
         candle_nn's rope_slow. `Target::unchecked` (`SplitModel::unchecked`, \
         `GraphModel::unchecked`) goes on without this comparison"
    )]
    GradientOff {
        /// In what.
        what: &'static str,
        /// The distance, relative to the larger of the two.
        percent: f64,
    },
    /// Whether the gradient is right cannot be told.
    #[error(
        "whether the gradient in {0} is right cannot be told: the differences of the model's own \
         values do not agree for any two steps. The model jumps there, or its rounding is too \
         coarse: try f64 (or f32). `Target::unchecked` (`SplitModel::unchecked`, \
         `GraphModel::unchecked`) goes on without this comparison"
    )]
    GradientUnclear(&'static str),
    /// An attribution does not add up.
    #[error(
        "integrated gradients of input {input} add up to {sum:.4}, but f(x) - f(baseline) is \
         {expected:.4}: with {steps} steps the gap is {percent:.0} %, and {allowed:.0} % are \
         allowed. Take more steps, or allow a greater `IntegratedGradients::max_gap`"
    )]
    Incomplete {
        /// Its number.
        input: usize,
        /// Σ of the attribution.
        sum: f64,
        /// f(x) - f(baseline).
        expected: f64,
        /// As in [`IntegratedGradientsResult::gap`](crate::IntegratedGradientsResult::gap).
        percent: f64,
        /// Points on the path.
        steps: usize,
        /// What the options allow.
        allowed: f64,
    },
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
    /// What is given for a layer is not possible.
    #[error("layer {layer:?}: {error}")]
    InLayer {
        /// The layer's name.
        layer: String,
        /// Why.
        error: Box<Error>,
    },
    /// A layer does not fit the one before it.
    #[error("layer {layer:?} needs {needs}, but {before} gives {gives}")]
    LayersApart {
        /// The layer's name.
        layer: String,
        /// The shape that it takes; B is the batch, `?` what is not known yet.
        needs: String,
        /// What comes before it.
        before: String,
        /// The shape that this gives.
        gives: String,
    },
    /// A file of weights cannot be read.
    #[error("the weights in {file} cannot be read: {reason}", file = .path.display())]
    WeightsFile {
        /// The file.
        path: std::path::PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The weights do not have a tensor that a layer needs.
    #[error(
        "layer {layer:?} needs the tensor {name:?}, which the weights do not have{alike}",
        alike = nearest_names(.nearest)
    )]
    NoWeight {
        /// The layer's name.
        layer: String,
        /// The tensor's name.
        name: String,
        /// The names most like it, if the source of the weights lists its names.
        nearest: Vec<String>,
    },
    /// The weights have tensors that no layer uses.
    #[error(
        "no layer uses {listed} of the weights: is a layer missing, or its name another? \
         `Layers::load_with_unused` goes on and returns these names",
        listed = some_names(.names)
    )]
    UnusedWeights {
        /// The tensors' names.
        names: Vec<String>,
    },
    /// A model does not reach a place that is asked of a [`Tap`](crate::Tap).
    #[error(
        "the model does not reach a place {name:?}; it reaches {places:?}. (A place counts on the \
         thread that runs the model.)"
    )]
    NoPlace {
        /// The name that was asked for.
        name: String,
        /// The names that the model reached, in order.
        places: Vec<String>,
    },
    /// A place of a [`Tap`](crate::Tap) cannot be used.
    #[error("the place {name:?}: {reason}")]
    Place {
        /// Its name.
        name: String,
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
    /// Two networks are not of one architecture.
    #[error(
        "the tensor {name:?} of the trained network has none of its name at its place in the \
         untrained one: both must be of one architecture, in one order"
    )]
    OtherNetwork {
        /// The tensor's name.
        name: String,
    },
    /// All samples of LIME are too far away.
    #[error(
        "the kernel of width {width} gives the nearest sample a weight of {greatest:.0e}, so that \
         nothing would be fitted: take a width of the size of the distances"
    )]
    FarSamples {
        /// The options' width.
        width: f64,
        /// The greatest weight.
        greatest: f64,
    },
    /// A fit or a comparison has no solution.
    #[error("{0}")]
    Degenerate(&'static str),
    /// A regression has no solution, or its penalty is outside its range.
    #[error(transparent)]
    Stats(#[from] foresee_stats::Error),
    /// A graph, or a node of it.
    #[error(transparent)]
    Graph(#[from] foresee_graph::Error),
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

    pub(crate) fn in_layer(self, layer: &str) -> Self {
        Self::InLayer { layer: layer.into(), error: Box::new(self) }
    }
}

fn nearest_names(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("; the names most like it are {names:?}"),
    }
}

/// The first of many names.
fn some_names(names: &[String]) -> String {
    const SHOWN: usize = 8;
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => format!("{names:?}"),
        Some(more) => format!("{:?} and {more} more", &names[..SHOWN]),
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
