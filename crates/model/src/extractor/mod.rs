//! Table 1: the dilated feature extractor.

mod shared;

use candle_core::{Tensor, Var};
use foresee_kernels::{BATCH_NORM_EPSILON, LEAKY_RELU_SLOPE, Moments, Precision, channels_last};

use crate::error::Result;
use crate::initial::Initial;
use crate::tensor::{detach, is_finite};

/// Slope of the leaky ReLU.
const SLOPE: f32 = LEAKY_RELU_SLOPE as f32;
/// Share of the batch's moments in the running ones after a step: PyTorch's default, which Table 1
/// does not change.
const MOMENTUM: f64 = 0.1;

/// 3×3 convolution, batch norm, leaky ReLU on feature maps [B, H, W, C].
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
    /// Whether weights are detached in evaluation mode.
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
            [&self.weight, &self.bias, &self.gamma, &self.beta].map(|v| detach(v, self.frozen));
        let x = channels_last::conv2d(x, &weight, &bias, self.dilation, self.precision)?;
        let moments = Moments {
            mean: self.running_mean.as_detached_tensor(),
            variance: self.running_var.as_detached_tensor(),
            count: 0,
        };
        Ok(channels_last::scale_shift_leaky_relu(
            &x,
            &moments,
            &gamma,
            &beta,
            BATCH_NORM_EPSILON,
            SLOPE,
        )?)
    }

    /// Uses the batch's moments, and moves the running moments towards them (with the unbiased
    /// variance, as PyTorch does).
    fn forward_train(&self, x: &Tensor) -> Result<Tensor> {
        let Self { weight, bias, gamma, beta, dilation, precision, .. } = self;
        let x = channels_last::conv2d(x, weight, bias, *dilation, *precision)?;
        let moments = channels_last::channel_moments(&x)?;
        let y =
            channels_last::norm_leaky_relu(&x, &moments, gamma, beta, BATCH_NORM_EPSILON, SLOPE)?;
        self.update_running(&moments)?;
        Ok(y)
    }

    /// Moves the running moments towards a batch's.
    fn update_running(&self, moments: &Moments) -> Result<()> {
        let update = |running: &Var, batch: &Tensor, scale: f64| -> Result<()> {
            let old = (running.as_tensor() * (1. - MOMENTUM))?;
            let new = (batch * (MOMENTUM * scale))?;
            Ok(running.set(&(old + new)?)?)
        };
        let n = moments.count as f64;
        update(&self.running_mean, &moments.mean.detach(), 1.)?;
        update(&self.running_var, &moments.variance.detach(), n / (n - 1.).max(1.))
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

    /// A block with new variables, whose values `value` computes from this block's.
    fn map(&self, value: impl Fn(&Var) -> candle_core::Result<Tensor>) -> Result<Self> {
        let new = |v: &Var| -> Result<Var> { Ok(Var::from_tensor(&value(v)?)?) };
        Ok(Self {
            dilation: self.dilation,
            precision: self.precision,
            weight: new(&self.weight)?,
            bias: new(&self.bias)?,
            gamma: new(&self.gamma)?,
            beta: new(&self.beta)?,
            running_mean: new(&self.running_mean)?,
            running_var: new(&self.running_var)?,
            frozen: self.frozen,
        })
    }
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
        let pixels = images.permute((0, 2, 3, 1))?.contiguous()?;
        let z = self.blocks.iter().try_fold(pixels, |x, block| block.forward(&x))?;
        Ok(z.permute((0, 3, 1, 2))?)
    }

    /// Features in training mode: [B, 3, H, W] → [B, C, H, W]. Updates the running moments.
    ///
    /// # Errors
    /// If the images are not of three channels.
    pub fn forward_train(&self, images: &Tensor) -> Result<Tensor> {
        Ok(self.forward_train_channels_last(images)?.permute((0, 3, 1, 2))?)
    }

    /// [`forward_train`](Self::forward_train) to features [B, H, W, C], as they lie in memory.
    pub(crate) fn forward_train_channels_last(&self, images: &Tensor) -> Result<Tensor> {
        let pixels = images.permute((0, 2, 3, 1))?.contiguous()?;
        self.blocks.iter().try_fold(pixels, |x, block| block.forward_train(&x))
    }

    /// The number of the first block whose output in training mode has a value that is not finite.
    pub(crate) fn first_not_finite(&self, images: &Tensor) -> Result<Option<usize>> {
        let mut x = images.permute((0, 2, 3, 1))?.contiguous()?;
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward_train(&x)?;
            if !is_finite(&x)? {
                return Ok(Some(i));
            }
        }
        Ok(None)
    }

    /// For each block of Table 1: input channels, output channels, dilation.
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

    /// The same variables, detached in evaluation mode.
    pub(crate) fn frozen(&self) -> Self {
        let frozen = |block: &Block| Block { frozen: true, ..block.clone() };
        Self { blocks: self.blocks.iter().map(frozen).collect() }
    }

    /// The same variables, with factors of another precision.
    pub(crate) fn with_precision(&self, precision: Precision) -> Self {
        let with = |block: &Block| Block { precision, ..block.clone() };
        Self { blocks: self.blocks.iter().map(with).collect() }
    }

    /// The extractor with only these channels of its last block. It shares no variable with this
    /// one.
    pub(crate) fn keep_channels(&self, channels: &Tensor) -> Result<Self> {
        let last = self.blocks.len() - 1;
        let blocks = self.blocks.iter().enumerate().map(|(i, block)| match i == last {
            true => block.map(|v| v.index_select(channels, 0)),
            false => block.map(|v| v.copy()),
        });
        Ok(Self { blocks: blocks.collect::<Result<_>>()? })
    }
}
