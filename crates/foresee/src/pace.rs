//! How long a pass through a network takes.

use std::time::Instant;

use crate::error::Result;

/// Passes whose time is measured, after one that is not.
const TIMED: usize = 5;

/// Milliseconds of one of so many images that `pass` takes at once: the median over some passes.
///
/// # Errors
/// The first error of a pass.
pub(crate) fn milliseconds(images: usize, mut pass: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = vec![];
    for _ in 0..=TIMED {
        let start = Instant::now();
        pass()?;
        times.push(1e3 * start.elapsed().as_secs_f64() / images as f64);
    }
    // The first is slower than others.
    times.remove(0);
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
