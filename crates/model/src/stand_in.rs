//! A smaller network whose channels also do what the pruned ones did.

use candle_core::{Device, Tensor, Var};

use crate::error::{Error, Result};
use crate::heads::Heads;
use crate::network::Network;

/// What the kept channels Q do in place of all C: z ≈ S·z_Q + t in the masks' convolution, and
/// other readout weights.
///
/// With S the columns Q of the identity, t = 0 and the columns Q of the readout, this is plain
/// pruning.
#[derive(Debug, Clone, PartialEq)]
pub struct StandIn {
    /// Q, ascending.
    pub kept: Vec<usize>,
    /// S `[C][Q]`.
    pub weights: Vec<Vec<f32>>,
    /// t `[C]`.
    pub offsets: Vec<f32>,
    /// Readout weights `[K][Q]`.
    pub readout: Vec<Vec<f32>>,
    /// What is added to the readout's bias, `[K]`.
    pub readout_offsets: Vec<f32>,
}

impl StandIn {
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
        if fits { Ok(()) } else { Err(Error::StandIn { attributes, channels, kept }) }
    }
}

impl Network {
    /// The physically smaller network that has only the kept channels of the last feature map, and
    /// whose heads are made over so that these do what all did: for each attribute k, `W_k ←
    /// W_k[Q]·S` and `b_k ← b_k[Q] + W_k[Q]·t` in the masks' convolution, and the stand-in's
    /// readout. With masks of 3×3, t is also counted where the convolution reaches over the image's
    /// border.
    ///
    /// # Errors
    /// If the stand-in is not of this network's shape, or nothing is kept.
    pub fn keeping_with(&self, stand_in: &StandIn) -> Result<Self> {
        stand_in.check(self.config().attributes, self.config().channels)?;
        self.smaller(&stand_in.kept, |index| self.heads().keeping_with(index, stand_in))
    }
}

impl Heads {
    fn keeping_with(&self, index: &Tensor, stand_in: &StandIn) -> Result<Self> {
        let (k, c) = self.readout_weight.dims2()?;
        let (kept, n) = (stand_in.kept.len(), self.mask_weight.dims()[2]);
        let device = self.mask_weight.device();
        let weights = table(&stand_in.weights, c, kept, device)?;
        let offsets = Tensor::new(stand_in.offsets.as_slice(), device)?.unsqueeze(1)?;
        // [K·Q·n·n, C]: the kept masks' filters, the channels that they read last.
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
        let moved = rows.matmul(&offsets)?.reshape((k * kept, n * n))?.sum(1)?;
        let mask_bias =
            (self.mask_bias.reshape((k, c))?.index_select(index, 1)?.reshape(k * kept)? + moved)?;
        let readout_bias = (self.readout_bias.as_tensor()
            + Tensor::new(stand_in.readout_offsets.as_slice(), device)?)?;
        Ok(Self {
            mask_weight: Var::from_tensor(&mask_weight)?,
            mask_bias: Var::from_tensor(&mask_bias)?,
            readout_weight: Var::from_tensor(&table(&stand_in.readout, k, kept, device)?)?,
            readout_bias: Var::from_tensor(&readout_bias)?,
            attention: self.attention,
            precision: self.precision,
            frozen: self.frozen,
        })
    }
}

fn table(rows: &[Vec<f32>], n: usize, columns: usize, device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_vec(rows.concat(), (n, columns), device)?)
}
