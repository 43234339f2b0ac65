//! Segments of an input that are kept or removed together.

use candle_core::{DType, Tensor};

use crate::error::{Error, Result, check};
use crate::tensors::to_f64;

/// The segment of each entry of one input of x, and the number of segments. They are numbered from
/// 0, and given in one input's shape, or [H, W] for all channels of images.
pub(crate) fn segment_of_entries(x: &Tensor, segments: &Tensor) -> Result<(Vec<u32>, usize)> {
    let input = x.dims().get(1..).unwrap_or_default();
    let fraction = to_f64(segments)?.into_iter().find(|s| s.fract() != 0. || *s < 0.);
    check(fraction.is_none(), "segments", fraction.unwrap_or_default(), "whole numbers from 0")?;
    if segments.dims() != input && !(input.len() == 3 && segments.dims() == &input[1..]) {
        let expected = format!("{input:?}, or [H, W] of it,");
        return Err(Error::shape("the segments", segments.dims(), expected));
    }
    let segments: Vec<u32> =
        segments.to_dtype(DType::U32)?.broadcast_as(input)?.flatten_all()?.to_vec1()?;
    let mut numbers: Vec<u32> = segments.clone();
    numbers.sort_unstable();
    numbers.dedup();
    let gap = numbers.iter().enumerate().find(|(i, s)| *i as u32 != **s);
    check(
        gap.is_none(),
        "segments",
        format!("{} numbers up to {}", numbers.len(), numbers.last().unwrap_or(&0)),
        "every number from 0 to the greatest",
    )?;
    Ok((segments, numbers.len()))
}
