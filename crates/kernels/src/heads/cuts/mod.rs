//! The logits of many smaller networks from one feature map: the masks' logits of one cut are those
//! of another plus W times the change of the features, so that a curve of n cuts costs little more
//! than one pass.

mod batch;
mod block;
mod panels;
mod plan;
mod prepared;
mod source;
mod walk;

use candle_core::{Device, Tensor};

use super::dims::Dims;
use crate::dispatch::cpu_kernel_takes;
use crate::error::{Error, Result, shape};
use crate::factor::{Precision, with_factors};
use crate::isa::Instructions;
use crate::layout::to_channels_last;
use crate::rows::Rows;
use crate::storage::with_slices;

/// Which channels of a feature map a smaller network has left, and what it reads in place of the
/// others.
#[derive(Debug, Clone, Copy)]
pub struct ChannelCut<'a> {
    /// Q, the channels that are left, each once.
    pub kept: &'a [usize],
    /// What the kept channels do in place of the others; `None`: nothing, the others are 0.
    pub stand_in: Option<StandIn<'a>>,
}

/// A linear reconstruction of all C channels from the kept channels Q: the masks read ẑ = S·z_Q + t
/// in place of z, and the readout has other weights.
#[derive(Debug, Clone, Copy)]
pub struct StandIn<'a> {
    /// S, `[C][Q]`.
    pub weights: &'a [Vec<f32>],
    /// t, `[C]`.
    pub offsets: &'a [f32],
    /// Readout weights, `[K][Q]`.
    pub readout: &'a [Vec<f32>],
    /// Added to the readout's biases, `[K]`.
    pub readout_offsets: &'a [f32],
}

impl<'a> ChannelCut<'a> {
    /// The cut in which the channels that go are missing.
    pub fn plain(kept: &'a [usize]) -> Self {
        Self { kept, stand_in: None }
    }

    /// What is wrong with the cut for K attributes and C channels.
    fn problem(&self, attributes: usize, channels: usize) -> Option<String> {
        if self.kept.is_empty() {
            return Some("keeps no channel".into());
        }
        let mut seen = vec![false; channels];
        for &channel in self.kept {
            match seen.get_mut(channel) {
                None => return Some(format!("keeps channel {channel} of {channels}")),
                Some(true) => return Some(format!("keeps channel {channel} twice")),
                Some(seen) => *seen = true,
            }
        }
        let stand_in = self.stand_in?;
        let table = |rows: &[Vec<f32>], n: usize| {
            rows.len() == n && rows.iter().all(|row| row.len() == self.kept.len())
        };
        let fits = table(stand_in.weights, channels)
            && table(stand_in.readout, attributes)
            && stand_in.offsets.len() == channels
            && stand_in.readout_offsets.len() == attributes;
        let wrong = || {
            format!(
                "has a stand-in that does not fit {} kept channels of {channels} and {attributes} \
                 attributes",
                self.kept.len()
            )
        };
        (!fits).then(wrong)
    }
}

/// The weights of attention heads with a linear readout. C channels, K attributes.
#[derive(Debug, Clone, Copy)]
pub struct HeadWeights<'a> {
    /// The masks' convolution [K·C, C, n, n], row k·C + c for attribute k and channel c.
    pub mask_weight: &'a Tensor,
    /// `[K·C]`.
    pub mask_bias: &'a Tensor,
    /// [K, C].
    pub readout_weight: &'a Tensor,
    /// `[K]`.
    pub readout_bias: &'a Tensor,
    /// The rows that have masks. The masks of all others are 0.
    pub rows: &'a Rows,
}

/// The values of the operation's inputs.
struct Values<'a> {
    /// [B, P, C].
    z: &'a [f32],
    /// [K·C, C].
    mask_weight: &'a [f32],
    /// `[K·C]`.
    mask_bias: &'a [f32],
    /// [K, C].
    readout: &'a [f32],
    /// `[K]`.
    readout_bias: &'a [f32],
    /// The rows that have masks.
    rows: &'a Rows,
}

/// The logits [B, K] of each of many smaller networks, from the features z [B, C, H, W] of the
/// network that they are cut from: with masks M^k_c = sigmoid(W_kc·ẑ + b_kc) of what the cut leaves
/// of the features, ẑ, the logit of attribute k is Σ_{c kept} w_kc·mean(M^k_c ⊗ z_c) + b_k. Masks
/// of rows that the heads leave out are 0. One tensor for each cut, in their order. Without
/// gradients.
///
/// `None` where the fused operation does not take the tensors: masks of n > 1, another device than
/// the CPU, other numbers than `f32`. The smaller networks are then to be run one by one.
///
/// The operation walks from cut to cut and adds to the masks' logits what the change of ẑ adds:
/// W·(ẑ - ẑ before). It chooses the order of the walk itself. The products of nested cuts are
/// together those of one whole network. For cuts of one channel each, they are one whole network
/// and two channels a cut. Sums are in another order than in a smaller network, so results differ
/// by rounding. A feature that a cut does not keep never reaches its logits, even if it is NaN.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_kernels::{ChannelCut, HeadWeights, Precision, Rows, attention_logits_of_cuts};
///
/// // Two channels of one pixel, and one attribute whose masks are sigmoid(0) = 1/2 everywhere.
/// let device = &Device::Cpu;
/// let z = Tensor::new(&[2f32, 4.], device)?.reshape((1, 2, 1, 1))?;
/// let heads = HeadWeights {
///     mask_weight: &Tensor::zeros((2, 2, 1, 1), DType::F32, device)?,
///     mask_bias: &Tensor::zeros(2, DType::F32, device)?,
///     readout_weight: &Tensor::new(&[[1f32, 10.]], device)?,
///     readout_bias: &Tensor::zeros(1, DType::F32, device)?,
///     rows: &Rows::all(1, 2),
/// };
/// let cuts = [ChannelCut::plain(&[1]), ChannelCut::plain(&[0, 1])];
/// let logits = attention_logits_of_cuts(&z, &heads, &cuts, Precision::F32)?.unwrap();
/// // 10·4/2, and with the other channel 1·2/2 more.
/// assert!((logits[0].to_vec2::<f32>()?[0][0] - 20.).abs() < 1e-4);
/// assert!((logits[1].to_vec2::<f32>()?[0][0] - 21.).abs() < 1e-4);
/// # Ok::<(), foresee_kernels::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit each other, or a cut does not fit them: it keeps no channel, one twice
/// or one that does not exist, or its tables have other shapes.
pub fn attention_logits_of_cuts(
    z: &Tensor,
    heads: &HeadWeights,
    cuts: &[ChannelCut],
    precision: Precision,
) -> Result<Option<Vec<Tensor>>> {
    let HeadWeights { mask_weight, mask_bias, readout_weight, readout_bias, rows } = *heads;
    let dims = check(z, heads, cuts)?;
    let tensors = [z, mask_weight, mask_bias, readout_weight, readout_bias];
    if dims.inputs != dims.channels || !cpu_kernel_takes(&tensors) {
        return Ok(None);
    }
    let u = to_channels_last(&z.detach())?;
    let instructions = Instructions::current();
    let inputs = [&u, mask_weight, mask_bias, readout_weight, readout_bias];
    let logits = with_slices(inputs, |[z, mask_weight, mask_bias, readout, readout_bias]| {
        let values = Values { z, mask_weight, mask_bias, readout, readout_bias, rows };
        with_factors!(precision, instructions, F => {
            batch::logits::<F>(&dims, instructions, &values, cuts)
        })
    })?;
    let each = dims.images * dims.attributes;
    let of_cut = |cut: usize| {
        let logits = &logits[cut * each..][..each];
        Ok(Tensor::from_slice(logits, (dims.images, dims.attributes), &Device::Cpu)?)
    };
    (0..cuts.len()).map(of_cut).collect::<Result<Vec<_>>>().map(Some)
}

fn check(z: &Tensor, heads: &HeadWeights, cuts: &[ChannelCut]) -> Result<Dims> {
    const OPERATION: &str = "attention_logits_of_cuts";
    let dims = Dims::new(OPERATION, z, heads.mask_weight, heads.mask_bias)?;
    dims.check(heads.rows)?;
    let Dims { attributes, channels, .. } = dims;
    if heads.readout_weight.dims() != [attributes, channels] {
        let expected = format!("[{attributes}, {channels}]");
        return Err(shape(OPERATION, "readout_weight", expected, heads.readout_weight));
    }
    if heads.readout_bias.dims() != [attributes] {
        let expected = format!("[{attributes}]");
        return Err(shape(OPERATION, "readout_bias", expected, heads.readout_bias));
    }
    for (cut, what) in cuts.iter().enumerate() {
        if let Some(problem) = what.problem(attributes, channels) {
            return Err(Error::Cut { operation: OPERATION, cut, problem });
        }
    }
    Ok(dims)
}
