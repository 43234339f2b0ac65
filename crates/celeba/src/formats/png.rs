//! PNG files.

use std::io::Cursor;

use super::limits::{MAX_PIXELS, check_size};
use super::orientation::{orientation, upright};
use super::{Decoded, Rgb};

/// Pixels of a byte at most: deflate packs 1:1032 at best, and a bit can be a pixel.
const PIXELS_PER_BYTE: usize = 8 * 1032;

/// Decodes to eight bits. What is transparent keeps its colour.
pub(super) fn decode(bytes: &[u8]) -> Decoded {
    let failed = |e: png::DecodingError| format!("cannot be decoded: {e}");
    let limits = png::Limits { bytes: 8 * MAX_PIXELS };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(failed)?;
    let width = reader.info().width as usize;
    let height = reader.info().height as usize;
    check_size(width, height, PIXELS_PER_BYTE * bytes.len())?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("has no size")?];
    let frame = reader.next_frame(&mut pixels).map_err(failed)?;
    let pixels: Vec<u8> = match frame.color_type {
        png::ColorType::Rgb => pixels,
        png::ColorType::Rgba => pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        png::ColorType::Grayscale => pixels.iter().flat_map(|&p| [p; 3]).collect(),
        png::ColorType::GrayscaleAlpha => pixels.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        png::ColorType::Indexed => return Err("has a palette that was not resolved".into()),
    };
    let orientation = orientation(reader.info().exif_metadata.as_deref());
    Ok(upright(Rgb { pixels, width, height }, orientation))
}

/// The orientation that the file tells.
pub(super) fn told_orientation(bytes: &[u8]) -> u8 {
    let reader = png::Decoder::new(Cursor::new(bytes)).read_info();
    reader.map_or(1, |reader| orientation(reader.info().exif_metadata.as_deref()))
}
