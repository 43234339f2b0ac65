//! Table 1: the dilated feature extractor.

use candle_core::{Tensor, Var};
use foresee_kernels::{Moments, Precision};

use crate::error::Result;
use crate::initial::Initial;
use crate::ops;

/// Slope of the leaky ReLU (Table 1).
const SLOPE: f32 = 0.01;
/// PyTorch's defaults of batch norm, which the paper does not state.
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// 3×3 convolution, batch norm, leaky ReLU, of [B, H, W, C].
#[derive(Debug, Clone)]
struct Block {
    dilation: usize,
    precision: Precision,
    weight: Var,
    bias: Var,
    gamma: Var,
    beta: Var,
    running_mean: Var,
    running_var: Var,
    /// Whether weights are constants to gradients.
    frozen: bool,
}

impl Block {
    fn new(
        (inputs, outputs, dilation): (usize, usize, usize),
        precision: Precision,
        initial: &Initial,
        stream: u64,
    ) -> Result<Self> {
        Ok(Self {
            dilation,
            precision,
            weight: initial.uniform(stream, &[outputs, inputs, 3, 3], inputs * 9)?,
            bias: initial.uniform(stream + 1, &[outputs], inputs * 9)?,
            gamma: initial.constant(1., &[outputs])?,
            beta: initial.constant(0., &[outputs])?,
            running_mean: initial.constant(0., &[outputs])?,
            running_var: initial.constant(1., &[outputs])?,
            frozen: false,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [weight, bias, gamma, beta] =
            [&self.weight, &self.bias, &self.gamma, &self.beta].map(|var| seen(var, self.frozen));
        let x = ops::dilated_conv(x, &weight, &bias, self.dilation, self.precision)?;
        let moments = Moments {
            mean: self.running_mean.as_detached_tensor(),
            variance: self.running_var.as_detached_tensor(),
            count: 0,
        };
        ops::running_norm_leaky_relu(&x, &moments, &gamma, &beta, EPSILON, SLOPE)
    }

    /// Uses the batch's moments, and moves the running ones towards them (with the unbiased
    /// variance, as PyTorch does).
    fn forward_train(&self, x: &Tensor) -> Result<Tensor> {
        let x = ops::dilated_conv(x, &self.weight, &self.bias, self.dilation, self.precision)?;
        let (y, moments) = ops::norm_leaky_relu(&x, &self.gamma, &self.beta, EPSILON, SLOPE)?;
        let n = moments.count as f64;
        let towards = |running: &Var, batch: &Tensor, scale: f64| -> Result<()> {
            Ok(running.set(
                &((running.as_tensor() * (1. - MOMENTUM))? + (batch * (MOMENTUM * scale))?)?,
            )?)
        };
        towards(&self.running_mean, &moments.mean.detach(), 1.)?;
        towards(&self.running_var, &moments.variance.detach(), n / (n - 1.).max(1.))?;
        Ok(y)
    }

    fn tensors(&self) -> [(&'static str, &Var); 6] {
        [
            ("conv.weight", &self.weight),
            ("conv.bias", &self.bias),
            ("bn.weight", &self.gamma),
            ("bn.bias", &self.beta),
            ("bn.running_mean", &self.running_mean),
            ("bn.running_var", &self.running_var),
        ]
    }

    /// The same block, with variables of its own that `value` makes of these.
    fn map(&self, value: impl Fn(&Var) -> candle_core::Result<Tensor>) -> Result<Self> {
        let own = |v: &Var| -> Result<Var> { Ok(Var::from_tensor(&value(v)?)?) };
        Ok(Self {
            dilation: self.dilation,
            precision: self.precision,
            weight: own(&self.weight)?,
            bias: own(&self.bias)?,
            gamma: own(&self.gamma)?,
            beta: own(&self.beta)?,
            running_mean: own(&self.running_mean)?,
            running_var: own(&self.running_var)?,
            frozen: self.frozen,
        })
    }
}

/// A variable, or its value as a constant.
pub(crate) fn seen(var: &Var, frozen: bool) -> Tensor {
    if frozen { var.as_detached_tensor() } else { var.as_tensor().clone() }
}

/// Table 1: four blocks of 3×3 convolution (32, 64, 64, C channels; dilation 1, 2, 3, 2), batch
/// norm and leaky ReLU. All strides are 1: features have the size of the image.
#[derive(Debug, Clone)]
pub struct Extractor {
    blocks: Vec<Block>,
}

impl Extractor {
    pub(crate) fn new(channels: usize, precision: Precision, initial: &Initial) -> Result<Self> {
        let plan = [(3, 32, 1), (32, 64, 2), (64, 64, 3), (64, channels, 2)];
        let blocks = plan
            .into_iter()
            .enumerate()
            .map(|(i, shape)| Block::new(shape, precision, initial, 2 * i as u64));
        Ok(Self { blocks: blocks.collect::<Result<_>>()? })
    }

    /// Features in evaluation mode: [B, 3, H, W] → [B, C, H, W].
    ///
    /// # Errors
    /// If the images are not of three channels.
    pub fn forward(&self, images: &Tensor) -> Result<Tensor> {
        let z = self
            .blocks
            .iter()
            .try_fold(images.permute((0, 2, 3, 1))?.contiguous()?, |x, block| block.forward(&x))?;
        Ok(z.permute((0, 3, 1, 2))?)
    }

    /// Features in training mode, which also updates the running moments.
    ///
    /// # Errors
    /// If the images are not of three channels.
    pub fn forward_train(&self, images: &Tensor) -> Result<Tensor> {
        Ok(self.forward_train_pixels(images)?.permute((0, 3, 1, 2))?)
    }

    /// The same as [B, H, W, C], as the features lie in memory.
    pub(crate) fn forward_train_pixels(&self, images: &Tensor) -> Result<Tensor> {
        self.blocks.iter().try_fold(images.permute((0, 2, 3, 1))?.contiguous()?, |x, block| {
            block.forward_train(&x)
        })
    }

    /// The first block whose output in training mode has a value that is not finite.
    pub(crate) fn first_not_finite(&self, images: &Tensor) -> Result<Option<usize>> {
        let mut x = images.permute((0, 2, 3, 1))?.contiguous()?;
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward_train(&x)?;
            if !ops::is_finite(&x)? {
                return Ok(Some(i));
            }
        }
        Ok(None)
    }

    /// Each block's convolution and norm: input channels, output channels, dilation. Table 1 is
    /// drawn from this.
    pub fn plan(&self) -> Vec<(usize, usize, usize)> {
        self.blocks.iter().map(|b| (b.weight.dims()[1], b.weight.dims()[0], b.dilation)).collect()
    }

    /// L1 norm of each output channel's filter in the last convolution, `[C]`.
    ///
    /// # Errors
    /// If candle fails.
    pub fn filter_norms(&self) -> Result<Vec<f32>> {
        let last = &self.blocks[self.blocks.len() - 1].weight;
        Ok(last.abs()?.flatten_from(1)?.sum(1)?.to_vec1()?)
    }

    pub(crate) fn tensors(&self) -> impl Iterator<Item = (String, &Var)> {
        self.blocks.iter().enumerate().flat_map(|(i, block)| {
            block.tensors().map(|(name, var)| (format!("extractor.{i}.{name}"), var))
        })
    }

    /// The same extractor with the same variables, which are constants to gradients.
    pub(crate) fn frozen(&self) -> Self {
        Self {
            blocks: self
                .blocks
                .iter()
                .map(|block| Block { frozen: true, ..block.clone() })
                .collect(),
        }
    }

    /// The same extractor with only these channels of its last block; it shares no variable with
    /// this one.
    pub(crate) fn keeping(&self, channels: &Tensor) -> Result<Self> {
        let last = self.blocks.len() - 1;
        let blocks = self.blocks.iter().enumerate().map(|(i, block)| match i == last {
            true => block.map(|v| v.index_select(channels, 0)),
            false => block.map(|v| v.copy()),
        });
        Ok(Self { blocks: blocks.collect::<Result<_>>()? })
    }
}
