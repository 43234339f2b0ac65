//! How much a network computes.

use crate::config::NetworkConfig;
use crate::network::Network;

/// What a network's convolutions compute for one pixel of one image, in multiplications that are
/// each followed by an addition. Batch norm, leaky ReLU, sigmoid, the pooling of M ⊗ z and the
/// readout are not counted. Kernels that fill their tiles compute a little more.
///
/// ```
/// use candle_core::Device;
/// use foresee_model::{Network, NetworkConfig};
///
/// // The paper's network: 40 attributes, 128 channels, 1×1 masks.
/// let network = Network::new(NetworkConfig::default(), 7, &Device::Cpu)?;
/// let arithmetic = network.arithmetic();
/// assert_eq!(arithmetic.extractor, 9 * (3 * 32 + 32 * 64 + 64 * 64 + 64 * 128));
/// assert_eq!(arithmetic.heads, 40 * 128 * 128);
/// assert_eq!(arithmetic.share(), 1.);
/// # Ok::<(), foresee_model::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arithmetic {
    /// Of the extractor (Table 1).
    pub extractor: usize,
    /// Of the heads' masks (Table 2): n²·C for each row that is computed
    /// ([`Heads::rows`](crate::Heads::rows)).
    pub heads: usize,
    /// Of the heads' masks if all K·C rows are computed.
    pub heads_of_all_rows: usize,
}

impl Arithmetic {
    /// Which share of the heads' arithmetic is left, 0 to 1. NaN without attention: there is none.
    pub fn share_of_heads(self) -> f64 {
        self.heads as f64 / self.heads_of_all_rows as f64
    }

    /// Which share of the network's arithmetic is left, 0 to 1.
    pub fn share(self) -> f64 {
        (self.extractor + self.heads) as f64 / (self.extractor + self.heads_of_all_rows) as f64
    }
}

impl Network {
    /// What this network computes for one pixel.
    pub fn arithmetic(&self) -> Arithmetic {
        let NetworkConfig { attributes, channels, mask_kernel, attention, .. } = *self.config();
        let of_rows = |rows: usize| match attention {
            true => rows * channels * mask_kernel * mask_kernel,
            false => 0,
        };
        let blocks = self.extractor().plan();
        Arithmetic {
            extractor: blocks.iter().map(|&(inputs, outputs, _)| 9 * inputs * outputs).sum(),
            heads: of_rows(self.heads().rows().count()),
            heads_of_all_rows: of_rows(attributes * channels),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use foresee_kernels::Rows;

    use super::*;

    #[test]
    fn rows_that_are_left_out_cost_nothing() {
        let config =
            NetworkConfig { attributes: 2, channels: 4, mask_kernel: 3, ..Default::default() };
        let network = Network::new(config.clone(), 7, &Device::Cpu).unwrap();
        let rows = Rows::new(4, vec![vec![1], vec![]]).unwrap();
        let arithmetic = network.with_rows(rows).unwrap().arithmetic();
        assert_eq!(arithmetic.extractor, 9 * (96 + 2048 + 4096 + 256));
        assert_eq!((arithmetic.heads, arithmetic.heads_of_all_rows), (36, 288));
        assert_eq!(arithmetic.share_of_heads(), 0.125);
        assert_eq!(arithmetic.share(), (58464. + 36.) / (58464. + 288.));

        let plain = NetworkConfig { attention: false, ..config };
        let arithmetic = Network::new(plain, 7, &Device::Cpu).unwrap().arithmetic();
        assert_eq!((arithmetic.heads, arithmetic.heads_of_all_rows), (0, 0));
        assert!(arithmetic.share_of_heads().is_nan());
    }
}
