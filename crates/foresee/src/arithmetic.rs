//! How a processor adds up, which decides the last digits of results.

use std::fmt::{self, Display, Formatter};
use std::sync::OnceLock;

use candle_core::{DType, Device, Tensor};
use foresee_kernels::instruction_set;
use serde::{Deserialize, Serialize};

use crate::hash::sha256;

/// What decides the order of sums. It is not enough to compare sets of instructions: candle cuts
/// matrix products where the caches of the processor want it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arithmetic {
    /// The set of instructions of this project's kernels.
    instructions: String,
    /// The beginning of the SHA-256 of a long matrix product, in f32 and f64.
    product_sha256: String,
}

/// Rows and columns of the product: of few, candle always cuts at the same place.
const SIDE: usize = 128;
/// Terms of each of its sums: more than any cache makes one piece of.
const TERMS: usize = 8192;
/// Characters that are kept of the hash.
const SHOWN: usize = 16;

impl Arithmetic {
    /// That of the processor which runs this.
    pub fn of_this_processor() -> Self {
        static OWN: OnceLock<Arithmetic> = OnceLock::new();
        let own = || Self {
            instructions: format!("{:?}", instruction_set()),
            product_sha256: product_sha256(),
        };
        OWN.get_or_init(own).clone()
    }
}

impl Display for Arithmetic {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}, product {}", self.instructions, self.product_sha256)
    }
}

fn product_sha256() -> String {
    let bytes = product(DType::F32).and_then(|single| Ok([single, product(DType::F64)?].concat()));
    match bytes {
        Ok(bytes) => sha256(&bytes)[..SHOWN].into(),
        Err(e) => format!("unknown ({e})"),
    }
}

/// The bytes of AAᵀ of a matrix A of which the values repeat late.
fn product(dtype: DType) -> candle_core::Result<Vec<u8>> {
    let value = |i: usize| ((i * 7919) % 100_003) as f64 / 100_003. - 0.5;
    let values: Vec<f64> = (0..SIDE * TERMS).map(value).collect();
    let a = Tensor::from_vec(values, (SIDE, TERMS), &Device::Cpu)?.to_dtype(dtype)?;
    let sums = a.matmul(&a.t()?.contiguous()?)?.to_dtype(DType::F64)?;
    Ok(sums.flatten_all()?.to_vec1::<f64>()?.iter().flat_map(|sum| sum.to_le_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_sums_shows_and_a_processor_agrees_with_itself() {
        let own = Arithmetic::of_this_processor();
        assert_eq!(own.product_sha256, product_sha256());
        assert_eq!(own.product_sha256.len(), SHOWN, "{own}");
        // Sums of the same terms in two pieces have other bits.
        let value = |i: usize| ((i * 7919) % 100_003) as f32 / 100_003. - 0.5;
        let terms: Vec<f32> = (0..TERMS).map(|i| value(i) * value(i)).collect();
        let whole: f32 = terms.iter().sum();
        let halves = terms.chunks(TERMS / 2).map(|half| half.iter().sum::<f32>()).sum::<f32>();
        assert_ne!(whole.to_bits(), halves.to_bits());
    }
}
