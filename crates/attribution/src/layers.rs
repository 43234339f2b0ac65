//! A model as a sequence of known layers: what LRP, guided backpropagation and CAM need to see.

use std::sync::Arc;

use candle_core::{D, DType, Tensor};
use foresee_kernels::Precision;

use crate::error::{Error, Result, check, shape};
use crate::target::{BATCH, Target, in_chunks};

type Function = Arc<dyn Fn(&Tensor) -> candle_core::Result<Tensor> + Send + Sync>;

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

/// What a layer computes.
#[derive(Clone)]
pub(crate) enum Layer {
    /// [B, I, H, W] → [B, O, H', W'], weight [O, I, n, m].
    Conv2d {
        weight: Tensor,
        bias: Tensor,
        options: Conv2d,
    },
    /// [B, I] → [B, O], weight [O, I].
    Linear {
        weight: Tensor,
        bias: Tensor,
    },
    /// [B, K, C] → [B, K], weight [K, C].
    Readout {
        weight: Tensor,
        bias: Tensor,
    },
    LeakyRelu {
        slope: f64,
    },
    AveragePool {
        size: usize,
    },
    MaxPool {
        size: usize,
    },
    /// Mean over the last two dimensions.
    GlobalAveragePool,
    Flatten,
    /// z [B, C, H, W] → sigmoid(conv_k(z)) ⊗ z, [B, K, C, H, W]; weight [K·C, C, n, n].
    Gate {
        weight: Tensor,
        bias: Tensor,
    },
    /// x + branch(x).
    Residual(Vec<Step>),
    Other(Function),
}

/// A named layer.
#[derive(Clone)]
pub(crate) struct Step {
    pub name: String,
    pub layer: Layer,
}

/// A sequence of layers, built one after the other, [B, ...] → [B, K].
///
/// Layers must not influence rows of a batch by each other. At most [`batch`](Self::batch) inputs
/// go through at once. Weights are used without gradient: gradients of the input cost no more than
/// they must.
#[derive(Clone)]
pub struct Layers {
    pub(crate) steps: Vec<Step>,
    pub(crate) batch: usize,
}

impl Default for Layers {
    fn default() -> Self {
        Self { steps: vec![], batch: BATCH }
    }
}

impl std::fmt::Debug for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layers").field("names", &self.names()).field("batch", &self.batch).finish()
    }
}

impl Layers {
    /// No layers yet; at most 32 inputs at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// With at most `batch` inputs at once; at least 1.
    pub fn batch(self, batch: usize) -> Self {
        Self { batch: batch.max(1), ..self }
    }

    /// Inputs at once.
    pub fn batch_size(&self) -> usize {
        self.batch
    }

    /// The layers' names, first to last. Those inside of a residual branch are not among them.
    pub fn names(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.name.clone()).collect()
    }

    /// Those inside of branches are.
    fn all_names(&self) -> Vec<&str> {
        fn of(steps: &[Step]) -> Vec<&str> {
            steps
                .iter()
                .flat_map(|step| {
                    std::iter::once(&step.name[..]).chain(
                        if let Layer::Residual(branch) = &step.layer { of(branch) } else { vec![] },
                    )
                })
                .collect()
        }
        of(&self.steps)
    }

    fn push(mut self, name: &str, layer: Layer) -> Result<Self> {
        check(!has(&self.steps, name), "name", name, "a name that no other layer has")?;
        self.steps.push(Step { name: name.into(), layer });
        Ok(self)
    }

    /// Convolution: weight [O, I, n, m], bias `[O]` or none.
    ///
    /// # Errors
    /// If the shapes do not fit each other, an option is 0, or the name is taken.
    pub fn conv2d(
        self,
        name: &str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: Conv2d,
    ) -> Result<Self> {
        check(options.stride >= 1, "stride", options.stride, "a number from 1")?;
        check(options.dilation >= 1, "dilation", options.dilation, "a number from 1")?;
        if weight.rank() != 4 {
            return shape("the convolution's weight", weight.dims(), "[O, I, n, m]");
        }
        let bias = bias_of(weight, bias)?;
        self.push(name, Layer::Conv2d { weight: weight.detach().contiguous()?, bias, options })
    }

    /// weight [O, I], bias `[O]` or none.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the name is taken.
    pub fn linear(self, name: &str, weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        if weight.rank() != 2 {
            return shape("the linear layer's weight", weight.dims(), "[O, I]");
        }
        let bias = bias_of(weight, bias)?;
        self.push(name, Layer::Linear { weight: weight.detach().contiguous()?, bias })
    }

    /// Batch norm, merged into the convolution or linear layer before it: it becomes no layer of
    /// its own.
    ///
    /// # Errors
    /// If there is no such layer before it (the error names the layer that is there), or the shapes
    /// do not fit.
    pub fn batch_norm(mut self, name: &str, norm: &BatchNorm) -> Result<Self> {
        let unsupported = |before: &str| Error::Layer {
            method: "merging batch norm",
            layer: name.into(),
            reason: format!(
                "it follows {before}, and only a convolution or a linear layer can take it up; put other norms in by `other`"
            ),
        };
        let step = self.steps.last_mut().ok_or_else(|| unsupported("no layer"))?;
        let (Layer::Conv2d { weight, bias, .. } | Layer::Linear { weight, bias }) = &mut step.layer
        else {
            return Err(unsupported(&step.name));
        };
        let scale = (norm.weight.detach() / (norm.variance.detach() + norm.epsilon)?.sqrt()?)?;
        if scale.dims() != bias.dims() {
            return shape("the batch norm", scale.dims(), format!("{:?}", bias.dims()));
        }
        let mut rows = vec![1; weight.rank()];
        rows[0] = scale.elem_count();
        *bias = ((&*bias - norm.mean.detach())? * &scale)?.broadcast_add(&norm.bias.detach())?;
        *weight = weight.broadcast_mul(&scale.reshape(rows)?)?;
        Ok(self)
    }

    /// max(x, 0).
    ///
    /// # Errors
    /// If the name is taken.
    pub fn relu(self, name: &str) -> Result<Self> {
        self.leaky_relu(name, 0.)
    }

    /// max(x, 0) + slope·min(x, 0); slope 0 is the [`relu`](Self::relu).
    ///
    /// # Errors
    /// If the slope is not in [0, 1] or the name is taken.
    pub fn leaky_relu(self, name: &str, slope: f64) -> Result<Self> {
        check((0. ..=1.).contains(&slope), "slope", slope, "a number from 0 to 1")?;
        self.push(name, Layer::LeakyRelu { slope })
    }

    /// Mean of size×size squares beside each other; what does not fill one at the right and the
    /// bottom is left out.
    ///
    /// # Errors
    /// If the size is 0 or the name is taken.
    pub fn average_pool(self, name: &str, size: usize) -> Result<Self> {
        check(size >= 1, "size", size, "a number from 1")?;
        self.push(name, Layer::AveragePool { size })
    }

    /// Maximum of such squares.
    ///
    /// # Errors
    /// If the size is 0 or the name is taken.
    pub fn max_pool(self, name: &str, size: usize) -> Result<Self> {
        check(size >= 1, "size", size, "a number from 1")?;
        self.push(name, Layer::MaxPool { size })
    }

    /// Mean over the last two dimensions.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn global_average_pool(self, name: &str) -> Result<Self> {
        self.push(name, Layer::GlobalAveragePool)
    }

    /// [B, ...] → [B, n].
    ///
    /// # Errors
    /// If the name is taken.
    pub fn flatten(self, name: &str) -> Result<Self> {
        self.push(name, Layer::Flatten)
    }

    /// Eq. 9's masks: z [B, C, H, W] → M^k ⊗ z for every attribute k, [B, K, C, H, W], with M^k =
    /// sigmoid(conv_k(z)); weight [K·C, C, n, n] with n odd, row k·C + c, and bias `[K·C]`.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the name is taken.
    pub fn gate(self, name: &str, weight: &Tensor, bias: &Tensor) -> Result<Self> {
        match *weight.dims() {
            [rows, c, n, m] if c > 0 && rows % c == 0 && n == m && n % 2 == 1 => {}
            _ => return shape("the masks' weight", weight.dims(), "[K·C, C, n, n] with n odd"),
        }
        let bias = bias_of(weight, Some(bias))?;
        self.push(name, Layer::Gate { weight: weight.detach().contiguous()?, bias })
    }

    /// One logit per attribute: [B, K, C] → w_k·p_k + b_k, [B, K]; weight [K, C], bias `[K]`.
    ///
    /// # Errors
    /// If the shapes do not fit each other or the name is taken.
    pub fn readout(self, name: &str, weight: &Tensor, bias: &Tensor) -> Result<Self> {
        if weight.rank() != 2 {
            return shape("the readout's weight", weight.dims(), "[K, C]");
        }
        let bias = bias_of(weight, Some(bias))?;
        self.push(name, Layer::Readout { weight: weight.detach().contiguous()?, bias })
    }

    /// x + branch(x).
    ///
    /// # Errors
    /// If the name, or one inside of the branch, is taken.
    pub fn residual(self, name: &str, branch: Layers) -> Result<Self> {
        let taken =
            branch.all_names().into_iter().find(|inner| *inner == name || has(&self.steps, inner));
        check(
            taken.is_none(),
            "name",
            taken.unwrap_or_default(),
            "a name that no other layer has, inside of branches or outside",
        )?;
        self.push(name, Layer::Residual(branch.steps))
    }

    /// Any other differentiable function of x. Gradients go through it; LRP does not, and says so
    /// by this name.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn other(
        self,
        name: &str,
        function: impl Fn(&Tensor) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    ) -> Result<Self> {
        self.push(name, Layer::Other(Arc::new(function)))
    }

    /// [B, ...] → [B, K], without a bound on the batch.
    ///
    /// # Errors
    /// If the input does not fit a layer.
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        run(&self.steps, x)
    }

    /// Output `index` of this model, for the methods that take any function. Masks and readouts of
    /// other outputs are not computed where the model ends as the paper's does or in a linear
    /// layer: the target is then the only column of a narrower model.
    pub fn target(
        &self,
        index: usize,
    ) -> Target<impl Fn(&Tensor) -> candle_core::Result<Tensor> + Clone + use<>> {
        let (layers, index) = self.only(index).unwrap_or_else(|_| (self.clone(), index));
        let batch = self.batch;
        Target::new(move |x: &Tensor| layers.forward(x), index).batch(batch)
    }

    /// What the layer of this name puts out.
    ///
    /// # Errors
    /// If there is no such layer, or the input does not fit one.
    pub fn activation(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let place = self.place(name)?;
        in_chunks(x, self.batch, |x| Ok(run(&self.steps[..=place], x)?.detach()))
    }

    pub(crate) fn place(&self, name: &str) -> Result<usize> {
        self.steps
            .iter()
            .position(|step| step.name == name)
            .ok_or_else(|| Error::NoLayer { name: name.into(), layers: self.names() })
    }

    /// The same model with one output only, so that layers do nothing for the others, and that
    /// output's new index.
    pub(crate) fn only(&self, index: usize) -> Result<(Self, usize)> {
        let mut narrow = self.clone();
        let Some((last, before)) = narrow.steps.split_last_mut() else {
            return Ok((narrow, index));
        };
        let rows = |t: &Tensor, start, n| -> candle_core::Result<Tensor> {
            t.narrow(0, start, n)?.contiguous()
        };
        match &mut last.layer {
            Layer::Linear { weight, bias } if index < weight.dims()[0] => {
                (*weight, *bias) = (rows(weight, index, 1)?, rows(bias, index, 1)?);
                Ok((narrow, 0))
            }
            Layer::Readout { weight, bias } if index < weight.dims()[0] => {
                let [
                    ..,
                    Step { layer: Layer::Gate { weight: masks, bias: offsets }, .. },
                    Step { layer: Layer::GlobalAveragePool, .. },
                ] = before
                else {
                    return Ok((self.clone(), index));
                };
                let c = masks.dims()[1];
                (*weight, *bias) = (rows(weight, index, 1)?, rows(bias, index, 1)?);
                (*masks, *offsets) = (rows(masks, index * c, c)?, rows(offsets, index * c, c)?);
                Ok((narrow, 0))
            }
            _ => Ok((self.clone(), index)),
        }
    }
}

/// Whether a layer has this name, inside of branches or outside.
fn has(steps: &[Step], name: &str) -> bool {
    steps.iter().any(|step| {
        step.name == name || matches!(&step.layer, Layer::Residual(branch) if has(branch, name))
    })
}

fn bias_of(weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let outputs = weight.dims()[0];
    match bias {
        None => Ok(Tensor::zeros(outputs, weight.dtype(), weight.device())?),
        Some(bias) if bias.dims() == [outputs] => Ok(bias.detach()),
        Some(bias) => shape("the bias", bias.dims(), format!("[{outputs}]")),
    }
}

pub(crate) fn run(steps: &[Step], x: &Tensor) -> candle_core::Result<Tensor> {
    steps.iter().try_fold(x.clone(), |x, step| step.layer.forward(&x))
}

impl Layer {
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Conv2d { weight, bias, .. }
            | Self::Linear { weight, bias }
            | Self::Readout { weight, bias } => self.product(x, weight, Some(bias)),
            Self::LeakyRelu { slope } => leaky_relu(x, *slope),
            Self::AveragePool { size } => squares(x, *size)?.mean(D::Minus1),
            Self::MaxPool { size } => squares(x, *size)?.max(D::Minus1),
            Self::GlobalAveragePool => x.mean((D::Minus2, D::Minus1)),
            Self::Flatten => x.flatten_from(1),
            Self::Gate { weight, bias } => masks(x, weight, bias)?.broadcast_mul(&x.unsqueeze(1)?),
            Self::Residual(branch) => x + run(branch, x)?,
            Self::Other(function) => function(x),
        }
    }

    /// The linear map of a layer with these weights in place of its own.
    pub fn product(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> candle_core::Result<Tensor> {
        let y = match self {
            Self::Conv2d { options, .. } => return convolve(x, weight, bias, options),
            Self::Linear { .. } => x.matmul(&weight.t()?)?,
            Self::Readout { .. } => x.broadcast_mul(weight)?.sum(D::Minus1)?,
            _ => candle_core::bail!("not a linear layer"),
        };
        match (self, bias) {
            (_, None) => Ok(y),
            (_, Some(bias)) => y.broadcast_add(bias),
        }
    }
}

/// By the kernels where they have this convolution: candle's own computes the weights' gradient
/// too, and both slowly.
fn convolve(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    options: &Conv2d,
) -> candle_core::Result<Tensor> {
    let Conv2d { stride, padding, dilation } = *options;
    let (outputs, _, n, m) = weight.dims4()?;
    if stride == 1 && n == m && n % 2 == 1 && padding == n / 2 * dilation && x.dtype() == DType::F32
    {
        let none = Tensor::zeros(outputs, weight.dtype(), weight.device())?;
        let y = foresee_kernels::conv2d(x, weight, bias.unwrap_or(&none), dilation, Precision::F32)
            .map_err(candle_core::Error::wrap)?;
        return y.contiguous();
    }
    let y = x.contiguous()?.conv2d(weight, padding, stride, dilation, 1)?;
    match bias {
        None => Ok(y),
        Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?),
    }
}

/// sigmoid(conv_k(z)), [B, K, C, H, W].
pub(crate) fn masks(z: &Tensor, weight: &Tensor, bias: &Tensor) -> candle_core::Result<Tensor> {
    let (rows, c, n, _) = weight.dims4()?;
    let (b, _, h, w) = z.dims4()?;
    let logits = convolve(z, weight, Some(bias), &Conv2d { padding: n / 2, ..Conv2d::default() })?;
    sigmoid(&logits)?.reshape((b, rows / c, c, h, w))
}

/// Finite, and so is its gradient, for every finite x: exp(-x) of a mask that training has shut is
/// infinite.
fn sigmoid(x: &Tensor) -> candle_core::Result<Tensor> {
    let e = x.abs()?.neg()?.exp()?;
    let positive = x.ge(0f64)?.to_dtype(x.dtype())?;
    (&positive + ((1. - &positive)? * &e)?)? / (e + 1.)?
}

/// By sums and products whose gradients are right, also at 0, where it is the slope.
fn leaky_relu(x: &Tensor, slope: f64) -> candle_core::Result<Tensor> {
    x * leaky_slopes(x, slope)?
}

/// The leaky ReLU's derivative at x.
pub(crate) fn leaky_slopes(x: &Tensor, slope: f64) -> candle_core::Result<Tensor> {
    let x = x.detach();
    x.gt(&x.zeros_like()?)?.to_dtype(x.dtype())?.affine(1. - slope, slope)
}

/// [B, C, H, W] → [B, C, H/s, W/s, s·s].
pub(crate) fn squares(x: &Tensor, s: usize) -> candle_core::Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let (h, w) = (h / s, w / s);
    x.narrow(2, 0, h * s)?
        .narrow(3, 0, w * s)?
        .reshape((b, c, h, s, w, s))?
        .permute((0, 1, 2, 4, 3, 5))?
        .reshape((b, c, h, w, s * s))
}
