//! Results for the standard output.

use std::io::{ErrorKind, Write};

use crate::error::Result;

/// Writes text. It is no error if the reader has gone (`| head`).
///
/// # Errors
/// If the text cannot be written for another reason.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}
