//! SHA-256, as hexadecimal digits.

use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::error::Result;

/// Of bytes.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Of a file's contents.
///
/// # Errors
/// If the file cannot be read.
pub fn file_sha256(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(sha256(&bytes))
}
