//! JPEG files.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::limits::check_size;
use super::orientation::{orientation, upright};
use super::{Decoded, Rgb};

/// Pixels of a byte at most: a block of 8×8 pixels takes a bit or more.
const PIXELS_PER_BYTE: usize = 8 * 64;

/// Decodes in strict mode. Otherwise the decoder fills what it cannot read with grey.
pub(super) fn decode(bytes: &[u8]) -> Decoded {
    check_end(bytes)?;
    let any = usize::from(u16::MAX);
    let options = DecoderOptions::default()
        .set_max_width(any)
        .set_max_height(any)
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| format!("cannot be decoded: {e:?}"))?;
    let (width, height) = decoder.dimensions().ok_or("has no dimensions")?;
    check_size(width, height, PIXELS_PER_BYTE * bytes.len())?;
    let pixels = decoder.decode().map_err(|e| format!("cannot be decoded: {e:?}"))?;
    if pixels.len() != 3 * width * height || pixels.is_empty() {
        return Err("does not decode to RGB pixels".into());
    }
    let orientation = orientation(decoder.exif().map(|exif| &exif[..]));
    Ok(upright(Rgb { pixels, width, height }, orientation))
}

/// The orientation that the file tells.
pub(super) fn told_orientation(bytes: &[u8]) -> u8 {
    let mut decoder = JpegDecoder::new(ZCursor::new(bytes));
    let headers = decoder.decode_headers();
    headers.map_or(1, |()| orientation(decoder.exif().map(|exif| &exif[..])))
}

/// Finds truncated files: a complete one has an end marker after the start of its last scan. Some
/// writers pad the end.
fn check_end(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    if bytes.len() > 4 && bytes.ends_with(&[0xFF, 0xD9]) {
        return Ok(());
    }
    let last_scan = bytes
        .windows(2)
        .rposition(|pair| pair == [0xFF, 0xDA])
        .ok_or("is truncated: it has no scan")?;
    if bytes[last_scan..].windows(2).any(|pair| pair == [0xFF, 0xD9]) {
        Ok(())
    } else {
        Err("is truncated: it has no JPEG end marker")
    }
}
