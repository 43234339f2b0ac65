//! A network as a list of layers: a short way to a [`GraphModel`].

mod heads;
mod load;
mod shapes;
mod weights;

pub use load::LayerKind;
pub use weights::Weights;

use candle_core::Tensor;
use foresee_graph::{
    Binary, Builder, Gemm, Op, Padding, Pool, PoolKind, Reduce, Reduction, Unary, ValueId, Window,
};

use self::shapes::{Flow, Size};
use crate::error::{Error, Result, check};
use crate::graph::GraphModel;
use crate::target::DEFAULT_BATCH;
use crate::tensors::{check_float, check_like};

/// How a convolution steps over its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// Default 1.
    pub stride: usize,
    /// Zeros on each side. Default 0.
    pub padding: usize,
    /// Default 1.
    pub dilation: usize,
}

impl Default for Conv2d {
    fn default() -> Self {
        Self { stride: 1, padding: 0, dilation: 1 }
    }
}

/// Batch norm in evaluation mode; all tensors `[C]`.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    /// γ.
    pub weight: Tensor,
    /// β.
    pub bias: Tensor,
    /// Running mean.
    pub mean: Tensor,
    /// Running variance.
    pub variance: Tensor,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Layers one after the other, [B, ...] → [B, K], on the way to a [`GraphModel`]: a network by hand
/// in a few lines. What layers do not have, `foresee_graph::Builder` has.
///
/// Each layer becomes a node of its name. What does not fit the layer before is refused here.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::Layers;
///
/// let weight = Tensor::new(&[[1f64, -1.], [2., 0.]], &Device::Cpu)?;
/// let model = Layers::new().linear("hidden", &weight, None)?.relu("relu")?.model()?;
/// assert_eq!(model.names(), ["hidden", "relu"]);
/// let x = Tensor::new(&[[3f64, 5.]], &Device::Cpu)?;
/// assert_eq!(model.forward(&x)?.to_vec2::<f64>()?, [[0., 6.]]);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Layers {
    builder: Builder,
    /// The input, and what the last layer gives, once there are layers.
    ends: Option<(ValueId, ValueId)>,
    flow: Flow,
}

impl Layers {
    /// No layers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The model, in which batch norms are merged into the convolutions and linear layers before
    /// them; at most 32 inputs at once.
    ///
    /// # Errors
    /// If there are no layers.
    pub fn model(self) -> Result<GraphModel> {
        let Some((_, output)) = self.ends else { return Err(Error::Degenerate("no layers")) };
        let graph = self.builder.finish(vec![output])?.merge_batch_norms()?;
        let output = graph.outputs()[0];
        Ok(GraphModel::new(graph, output)?.batch(DEFAULT_BATCH))
    }

    /// A node behind the last one. The first node's input is of the shape that it needs.
    fn push(
        mut self,
        name: &str,
        op: Op,
        weights: &[(&str, &Tensor)],
        needs: &[Size],
        gives: Vec<Size>,
    ) -> Result<Self> {
        let (input, at) = match self.ends {
            Some(ends) => ends,
            None => {
                let sizes = std::iter::once(None).chain(needs.iter().map(|size| size.known()));
                let input = self.builder.input("input", sizes.collect())?;
                (input, input)
            }
        };
        let mut inputs = vec![at];
        for (part, weight) in weights {
            let weight = weight.detach().contiguous()?;
            inputs.push(self.builder.weight(&format!("{name}.{part}"), weight)?);
        }
        let passes_on = matches!(op, Op::Unary(_) | Op::BatchNorm { .. });
        self.ends = Some((input, self.builder.node(name, op, &inputs)?));
        self.flow = self.flow.then(name, gives, passes_on);
        Ok(self)
    }

    /// Convolution: weight [O, I, n, m], bias `[O]` or none.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the layer before, an option is 0, or the name is
    /// taken.
    pub fn conv2d(
        self,
        name: &str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: Conv2d,
    ) -> Result<Self> {
        let Conv2d { stride, padding, dilation } = options;
        let named = |error: Error| error.in_layer(name);
        check(stride >= 1, "stride", stride, "a number from 1").map_err(named)?;
        check(dilation >= 1, "dilation", dilation, "a number from 1").map_err(named)?;
        let &[outputs, inputs, ..] = weight.dims() else {
            let expected = "[O, I, n, m]";
            return Err(named(Error::shape("the convolution's weight", weight.dims(), expected)));
        };
        check_weights(weight, "the convolution's weight", 4, "[O, I, n, m]", bias)
            .map_err(named)?;
        self.flow.images(name, Some(inputs), weight.dims())?;
        let window = Window {
            stride: vec![stride; 2],
            padding: Padding::Explicit(vec![(padding, padding); 2]),
            dilation: vec![dilation; 2],
            groups: 1,
        };
        let weights = with_bias(weight, bias);
        let (needs, gives) = (Size::image(Some(inputs)), Size::image(Some(outputs)));
        self.push(name, Op::Conv(window), &weights, &needs, gives)
    }

    /// Linear layer: weight [O, I], bias `[O]` or none.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the layer before, or the name is taken.
    pub fn linear(self, name: &str, weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        check_weights(weight, "the linear layer's weight", 2, "[O, I]", bias)
            .map_err(|error| error.in_layer(name))?;
        let (outputs, inputs) = weight.dims2()?;
        self.flow.features(name, inputs, weight.dims())?;
        let op = Op::Gemm(Gemm { transpose_b: true, ..Gemm::default() });
        let weights = with_bias(weight, bias);
        self.push(name, op, &weights, &[Size::Is(inputs)], vec![Size::Is(outputs)])
    }

    /// Batch norm of the channels of images, or of features.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the layer before, or the name is taken.
    pub fn batch_norm(self, name: &str, norm: &BatchNorm) -> Result<Self> {
        let named = |error: Error| error.in_layer(name);
        let channels = norm.mean.elem_count();
        let parts = [
            ("weight", &norm.weight),
            ("bias", &norm.bias),
            ("running_mean", &norm.mean),
            ("running_var", &norm.variance),
        ];
        for (_, part) in &parts {
            check_float("the batch norm", part).map_err(named)?;
            if part.dims() != [channels] {
                let expected = format!("[{channels}], as of its mean,");
                return Err(named(Error::shape("the batch norm", part.dims(), expected)));
            }
        }
        let shape = self.flow.channels(name, channels)?;
        self.push(name, Op::BatchNorm { epsilon: norm.epsilon }, &parts, &shape, shape.clone())
    }

    /// max(x, 0).
    ///
    /// # Errors
    /// If it is the first layer, or the name is taken.
    pub fn relu(self, name: &str) -> Result<Self> {
        self.function(name, Unary::Relu)
    }

    /// max(x, 0) + slope·min(x, 0).
    ///
    /// # Errors
    /// If the slope is not in [0, 1], it is the first layer, or the name is taken.
    pub fn leaky_relu(self, name: &str, slope: f64) -> Result<Self> {
        check((0. ..=1.).contains(&slope), "slope", slope, "a number from 0 to 1")?;
        self.function(name, Unary::LeakyRelu(slope))
    }

    fn function(self, name: &str, function: Unary) -> Result<Self> {
        let shape = self.flow.known(name)?;
        self.push(name, Op::Unary(function), &[], &[], shape)
    }

    /// Mean of size×size windows side by side; pixels at the right and the bottom that fill no
    /// window are left out.
    ///
    /// # Errors
    /// If the size is 0, no images come before it, or the name is taken.
    pub fn average_pool(self, name: &str, size: usize) -> Result<Self> {
        self.pool(name, PoolKind::Average, size)
    }

    /// Maximum of size×size windows, placed as in [`average_pool`](Self::average_pool).
    ///
    /// # Errors
    /// As for [`average_pool`](Self::average_pool).
    pub fn max_pool(self, name: &str, size: usize) -> Result<Self> {
        self.pool(name, PoolKind::Max, size)
    }

    fn pool(self, name: &str, kind: PoolKind, size: usize) -> Result<Self> {
        check(size >= 1, "size", size, "a number from 1").map_err(|error| error.in_layer(name))?;
        let shape = Size::image(self.flow.images(name, None, &[])?);
        let window = Window { stride: vec![size; 2], ..Window::new(2) };
        let kernel = vec![size; 2];
        let op = Op::Pool(Pool { kind, kernel, window, ceil: false, count_include_pad: false });
        self.push(name, op, &[], &shape, shape.clone())
    }

    /// Mean over the last two dimensions: of images, or of masks times images.
    ///
    /// # Errors
    /// If no images come before it, or the name is taken.
    pub fn global_average_pool(self, name: &str) -> Result<Self> {
        let (needs, gives) = self.flow.without_pixels(name)?;
        let op = Op::Reduce(Reduce {
            kind: Reduction::Mean,
            axes: Some(vec![-2, -1]),
            keep_dims: false,
            empty_is_nothing: false,
        });
        self.push(name, op, &[], &needs, gives)
    }

    /// [B, ...] → [B, n].
    ///
    /// # Errors
    /// If it is the first layer, or the name is taken.
    pub fn flatten(self, name: &str) -> Result<Self> {
        let gives = vec![Size::product(&self.flow.known(name)?)];
        self.push(name, Op::Flatten { axis: 1 }, &[], &[], gives)
    }

    /// x + branch(x): `branch` appends the layers of the branch.
    ///
    /// ```
    /// use candle_core::{Device, Tensor};
    /// use foresee_attribution::Layers;
    ///
    /// let weight = Tensor::new(&[[2f64]], &Device::Cpu)?;
    /// let layers = Layers::new().residual("sum", |branch| branch.linear("twice", &weight, None))?;
    /// let x = Tensor::new(&[[5f64]], &Device::Cpu)?;
    /// assert_eq!(layers.model()?.forward(&x)?.to_vec2::<f64>()?, [[15.]]);
    /// # Ok::<(), foresee_attribution::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `branch`; if it does not give the shape that it takes, is empty, or the name is
    /// taken.
    pub fn residual(self, name: &str, branch: impl FnOnce(Self) -> Result<Self>) -> Result<Self> {
        let (before, start) = (self.flow.clone(), self.ends.map(|(_, at)| at));
        let mut layers = branch(self)?;
        let Some((input, end)) = layers.ends.filter(|(_, end)| Some(*end) != start) else {
            return Err(Error::Degenerate("a residual sum without a branch"));
        };
        let shape = before.sum(name, &layers.flow)?;
        let inputs = [start.unwrap_or(input), end];
        layers.ends = Some((input, layers.builder.node(name, Op::Binary(Binary::Add), &inputs)?));
        layers.flow = layers.flow.then(name, shape, false);
        Ok(layers)
    }
}

fn with_bias<'a>(weight: &'a Tensor, bias: Option<&'a Tensor>) -> Vec<(&'a str, &'a Tensor)> {
    std::iter::once(("weight", weight)).chain(bias.map(|bias| ("bias", bias))).collect()
}

/// Refuses a weight of another rank, and a bias that does not fit its first dimension.
fn check_weights(
    weight: &Tensor,
    what: &'static str,
    rank: usize,
    expected: &'static str,
    bias: Option<&Tensor>,
) -> Result<()> {
    if weight.rank() != rank {
        return Err(Error::shape(what, weight.dims(), expected));
    }
    check_float("the weight", weight)?;
    let Some(bias) = bias else { return Ok(()) };
    check_like("the bias", bias, weight)?;
    match bias.dims() == [weight.dims()[0]] {
        true => Ok(()),
        false => Err(Error::shape("the bias", bias.dims(), format!("[{}]", weight.dims()[0]))),
    }
}
