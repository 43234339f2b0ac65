//! Pruning with compensation: the kept channels reconstruct the pruned ones.

use candle_core::{Device, Tensor, Var};

use crate::config::Readout;
use crate::error::{Error, Result};
use crate::heads::Heads;
use crate::network::Network;

/// A linear reconstruction of all C channels from the kept channels Q, as in channel pruning by
/// reconstruction (He, Zhang & Sun, 2017): z ≈ S·z_Q + t in the masks' convolution, and other
/// readout weights.
///
/// With S the columns Q of the identity, t = 0 and the columns Q of the readout weights, it is
/// plain pruning.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconstruction {
    /// Q, ascending.
    pub kept: Vec<usize>,
    /// S, `[C][Q]`.
    pub weights: Vec<Vec<f32>>,
    /// t, `[C]`.
    pub offsets: Vec<f32>,
    /// Readout weights, `[K][Q]`.
    pub readout: Vec<Vec<f32>>,
    /// Added to the readout's biases, `[K]`.
    pub readout_offsets: Vec<f32>,
}

impl Reconstruction {
    fn check(&self, attributes: usize, channels: usize) -> Result<()> {
        let kept = self.kept.len();
        let table = |rows: &[Vec<f32>], n: usize| {
            rows.len() == n && rows.iter().all(|row| row.len() == kept)
        };
        let fits = table(&self.weights, channels)
            && table(&self.readout, attributes)
            && self.offsets.len() == channels
            && self.readout_offsets.len() == attributes
            && self.kept.iter().all(|&c| c < channels);
        if fits { Ok(()) } else { Err(Error::Reconstruction { attributes, channels, kept }) }
    }
}

impl Network {
    /// A smaller network with only the kept channels of the last feature map, whose heads are
    /// changed as if they still read all channels: for each attribute k, `W_k ← W_k[Q]·S` and
    /// `b_k ← b_k[Q] + W_k[Q]·t` in the masks' convolution, and the reconstruction's readout. With
    /// masks of 3×3, t also counts where the convolution reaches over the image's border. The
    /// readout is [`Readout::Linear`] then.
    ///
    /// # Errors
    /// [`Error::Reconstruction`] if the reconstruction does not fit this network's shape, or
    /// [`Error::Config`] if nothing is kept.
    pub fn reconstruct_channels(&self, reconstruction: &Reconstruction) -> Result<Self> {
        reconstruction.check(self.config().attributes, self.config().channels)?;
        let network = self.with_channels(&reconstruction.kept, |index| {
            self.heads().reconstruct_channels(index, reconstruction)
        })?;
        // Whatever weights the readout had, it has others now.
        Ok(network.with_readout(Readout::Linear))
    }
}

impl Heads {
    fn reconstruct_channels(&self, index: &Tensor, with: &Reconstruction) -> Result<Self> {
        let (k, c) = self.readout_weight.dims2()?;
        let kept = with.kept.len();
        let n = self.mask_weight.dims()[2];
        let device = self.mask_weight.device();
        let weights = matrix(&with.weights, c, kept, device)?;
        let offsets = Tensor::new(with.offsets.as_slice(), device)?.unsqueeze(1)?;
        // The kept masks' filters with their input channels last: [K·Q·n·n, C].
        let rows = self
            .mask_weight
            .reshape((k, c, c, n * n))?
            .index_select(index, 1)?
            .transpose(2, 3)?
            .contiguous()?
            .reshape((k * kept * n * n, c))?;
        let mask_weight = rows
            .matmul(&weights)?
            .reshape((k * kept, n * n, kept))?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((k * kept, kept, n, n))?;
        let shift = rows.matmul(&offsets)?.reshape((k * kept, n * n))?.sum(1)?;
        let mask_bias = self.mask_bias.reshape((k, c))?.index_select(index, 1)?;
        let mask_bias = (mask_bias.reshape(k * kept)? + shift)?;
        let readout_offsets = Tensor::new(with.readout_offsets.as_slice(), device)?;
        let readout_bias = (self.readout_bias.as_tensor() + readout_offsets)?;
        Ok(Self {
            mask_weight: Var::from_tensor(&mask_weight)?,
            mask_bias: Var::from_tensor(&mask_bias)?,
            readout_weight: Var::from_tensor(&matrix(&with.readout, k, kept, device)?)?,
            readout_bias: Var::from_tensor(&readout_bias)?,
            rows: self.rows.on_channels(&with.kept),
            attention: self.attention,
            precision: self.precision,
            frozen: self.frozen,
        })
    }
}

fn matrix(rows: &[Vec<f32>], n: usize, columns: usize, device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_vec(rows.concat(), (n, columns), device)?)
}
