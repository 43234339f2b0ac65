//! Limits on what an image may claim of itself, checked before memory is taken for its pixels.

/// Largest width or height.
pub(super) const MAX_SIDE: usize = 8192;
/// Largest number of pixels.
pub(super) const MAX_PIXELS: usize = 1 << 25;

/// Refuses an image that is too large, or larger than the `possible` pixels of a file of its
/// length.
pub(super) fn check_size(
    width: usize,
    height: usize,
    possible: usize,
) -> std::result::Result<(), String> {
    if width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS {
        return Err(format!(
            "is {width}×{height} pixels large; at most {MAX_SIDE} in each direction and \
             {MAX_PIXELS} in all are read"
        ));
    }
    if width * height > possible {
        return Err(format!(
            "is truncated: it says that it is {width}×{height} pixels large, for which it is too \
             short"
        ));
    }
    Ok(())
}
