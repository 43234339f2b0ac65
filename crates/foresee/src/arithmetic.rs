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
/// Terms of each of its sums: many pieces, of 512 to 1,024 terms with the caches that were looked
/// at.
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
    let of = |dtype| bytes(&product(&terms(dtype)?)?);
    match of(DType::F32).and_then(|single| Ok([single, of(DType::F64)?].concat())) {
        Ok(bytes) => sha256(&bytes)[..SHOWN].into(),
        Err(e) => format!("unknown ({e})"),
    }
}

/// A matrix A [SIDE, TERMS] of which the values repeat late.
fn terms(dtype: DType) -> candle_core::Result<Tensor> {
    let value = |i: usize| ((i * 7919) % 100_003) as f64 / 100_003. - 0.5;
    let values: Vec<f64> = (0..SIDE * TERMS).map(value).collect();
    Tensor::from_vec(values, (SIDE, TERMS), &Device::Cpu)?.to_dtype(dtype)
}

/// A·Aᵀ.
fn product(a: &Tensor) -> candle_core::Result<Tensor> {
    a.matmul(&a.t()?.contiguous()?)
}

fn bytes(sums: &Tensor) -> candle_core::Result<Vec<u8>> {
    let sums = sums.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
    Ok(sums.iter().flat_map(|sum| sum.to_le_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_agrees_with_itself() {
        let own = Arithmetic::of_this_processor();
        assert_eq!(own.product_sha256, product_sha256());
        assert_eq!(own.product_sha256.len(), SHOWN, "{own}");
    }

    /// The same sums, in two pieces that are added.
    #[test]
    fn where_sums_are_cut_shows() -> candle_core::Result<()> {
        for dtype in [DType::F32, DType::F64] {
            let a = terms(dtype)?;
            let half = |from| product(&a.narrow(1, from, TERMS / 2)?.contiguous()?);
            let cut = (half(0)? + half(TERMS / 2)?)?;
            assert_ne!(bytes(&cut)?, bytes(&product(&a)?)?, "{dtype:?}");
        }
        Ok(())
    }
}
