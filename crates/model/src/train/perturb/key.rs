//! What makes the draws of one training differ from those of another.

use candle_core::{Tensor, Var};
use sha2::{Digest, Sha256};

use crate::error::Result;

/// A number that the initial weights decide, and with them the seed of a training. A checkpoint
/// holds it in four parts of 16 bits, which are exact as floats.
pub struct Key {
    parts: Var,
    key: u64,
}

impl Key {
    /// Of these initial weights.
    pub fn new(weights: &Var) -> Result<Self> {
        let mut hash = Sha256::new();
        for value in weights.flatten_all()?.to_vec1::<f32>()? {
            hash.update(value.to_le_bytes());
        }
        let digest = hash.finalize();
        let parts: Vec<u16> =
            (0..4).map(|i| u16::from_le_bytes([digest[2 * i], digest[2 * i + 1]])).collect();
        let floats: Vec<f32> = parts.iter().map(|&part| f32::from(part)).collect();
        let parts = Var::from_tensor(&Tensor::from_vec(floats, 4, weights.device())?)?;
        let mut key = Self { parts, key: 0 };
        key.restore()?;
        Ok(key)
    }

    /// The number.
    pub fn value(&self) -> u64 {
        self.key
    }

    /// The state by the name that it has in checkpoints.
    pub fn tensors(&self) -> [(String, &Var); 1] {
        [("perturb.key".into(), &self.parts)]
    }

    /// Reads the number, after [`tensors`](Self::tensors) were set.
    pub fn restore(&mut self) -> Result<()> {
        let parts = self.parts.to_vec1::<f32>()?;
        self.key = parts.iter().fold(0, |key, &part| key << 16 | u64::from(part as u16));
        Ok(())
    }
}
