//! Training for semantic pruning: the order in which it would prune the network as it is now.

use candle_core::{DType, Device, Shape, Tensor, Var};

use crate::error::{Error, Result};

/// What is left of the moments when those of another batch come.
const DECAY: f64 = 0.9;

/// A channel whose variance is a smaller share of its mean square does not vary.
const STILL: f64 = 1e-6;

/// The order of semantic pruning with moments that follow the training.
///
/// Step 0 and every 32nd step add the sums of z, z·zᵀ and 1 over the positions of the batch to a
/// moving average, and order the channels anew: pairs from the highest correlation down, of each
/// the channel with the lower filter norm, as Figure 3 prunes.
pub struct SemanticOrder {
    /// Sums of z·zᵀ, of z, and of 1: `[C·C + C + 1]`.
    sums: Var,
    /// The channels, first to go first; a checkpoint holds floats only.
    order: Var,
    channels: Vec<usize>,
}

impl SemanticOrder {
    /// Of a network with so many channels.
    pub fn new(channels: usize, device: &Device) -> Result<Self> {
        let zeros = |n: usize| Var::zeros(n, DType::F32, device);
        let sums = zeros(channels * channels + channels + 1)?;
        let order: Vec<f32> = (0..channels).map(|c| c as f32).collect();
        let order = Var::from_tensor(&Tensor::from_vec(order, channels, device)?)?;
        Ok(Self { sums, order, channels: (0..channels).collect() })
    }

    /// The shape of what [`seen`](Self::seen) gives.
    pub fn shape(&self) -> &Shape {
        self.sums.shape()
    }

    /// The sums over the positions of features z [B, H, W, C]. Those of parts of a batch add up.
    pub fn seen(z: &Tensor) -> Result<Tensor> {
        let z = z.detach().flatten_to(2)?;
        let (positions, c) = z.dims2()?;
        let products = z.t()?.contiguous()?.matmul(&z)?.reshape(c * c)?;
        let count = Tensor::full(positions as f32, 1, z.device())?;
        Ok(Tensor::cat(&[&products, &z.sum(0)?, &count], 0)?)
    }

    /// Orders the channels by the sums of a batch and the filters' norms `[C]`.
    pub fn settle(&mut self, seen: &Tensor, norms: &[f32]) -> Result<()> {
        self.sums.set(&((self.sums.as_tensor() * DECAY)? + seen)?)?;
        let sums = self.sums.to_vec1::<f32>()?;
        let channels = semantic_order(&sums, norms);
        let order: Vec<f32> = channels.iter().map(|&c| c as f32).collect();
        self.order.set(&Tensor::from_vec(order, channels.len(), self.order.device())?)?;
        self.channels = channels;
        Ok(())
    }

    /// The channels, first to go first.
    pub fn channels(&self) -> &[usize] {
        &self.channels
    }

    /// The state by the names that it has in checkpoints.
    pub fn tensors(&self) -> [(String, &Var); 2] {
        [("semantic.sums".into(), &self.sums), ("semantic.order".into(), &self.order)]
    }

    /// Reads the order, after [`tensors`](Self::tensors) were set.
    pub fn restore(&mut self) -> Result<()> {
        let order = self.order.to_vec1::<f32>()?;
        let channels: Vec<usize> = order.iter().map(|&c| c as usize).collect();
        let mut sorted = channels.clone();
        sorted.sort_unstable();
        if sorted.iter().enumerate().any(|(i, &c)| i != c) {
            return Err(Error::Order);
        }
        self.channels = channels;
        Ok(())
    }
}

/// The order for sums of z·zᵀ, of z, and of 1. The channel that is left comes last.
fn semantic_order(sums: &[f32], norms: &[f32]) -> Vec<usize> {
    let c = norms.len();
    let count = f64::from(sums[c * c + c]);
    let mean = |i: usize| f64::from(sums[c * c + i]) / count;
    let covariance = |i: usize, j: usize| f64::from(sums[i * c + j]) / count - mean(i) * mean(j);
    // What is left of the variance of a channel that never changes is rounding.
    let varies = |i: usize| covariance(i, i) > STILL * f64::from(sums[i * c + i]) / count;
    let rho = |i: usize, j: usize| match varies(i) && varies(j) {
        true => covariance(i, j) / (covariance(i, i) * covariance(j, j)).sqrt(),
        false => 0.,
    };
    let pairs = (0..c).flat_map(|i| (i + 1..c).map(move |j| (i, j)));
    let mut pairs: Vec<_> = pairs.map(|(i, j)| (rho(i, j), i, j)).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut stays = vec![true; c];
    let mut order = vec![];
    for (_, i, j) in pairs {
        if stays[i] && stays[j] {
            let victim = if norms[i] < norms[j] { i } else { j };
            stays[victim] = false;
            order.push(victim);
        }
    }
    order.extend((0..c).filter(|&i| stays[i]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_correlated_pair_loses_its_lower_norm() {
        // Channels 0 and 2 are equal, 1 is their opposite.
        let z = [[1f32, -1., 1.], [2., -2., 2.], [4., -4., 4.]].concat();
        let z = Tensor::from_vec(z, (1, 3, 1, 3), &Device::Cpu).unwrap();
        let seen = SemanticOrder::seen(&z).unwrap();
        let expected = [21., -21., 21., -21., 21., -21., 21., -21., 21., 7., -7., 7., 3.];
        assert_eq!(seen.to_vec1::<f32>().unwrap(), expected);
        let mut order = SemanticOrder::new(3, &Device::Cpu).unwrap();
        order.settle(&seen, &[2., 1., 3.]).unwrap();
        assert_eq!(order.channels(), [0, 1, 2]);
        order.settle(&seen, &[3., 9., 2.]).unwrap();
        assert_eq!(order.channels(), [2, 0, 1]);
        order.channels = vec![];
        order.restore().unwrap();
        assert_eq!(order.channels(), [2, 0, 1]);
        order.order.set(&Tensor::new(&[0f32, 0., 1.], &Device::Cpu).unwrap()).unwrap();
        assert!(matches!(order.restore(), Err(Error::Order)));
        // A second look weighs more than the first.
        assert!((order.sums.to_vec1::<f32>().unwrap()[12] - 5.7).abs() < 1e-5);
    }
}
