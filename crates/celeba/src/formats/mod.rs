//! Image files. [`FORMATS`] is the only list of formats: to add one, add an entry there and its
//! decoder beside `jpeg.rs` and `png.rs`.

mod jpeg;
mod jpeg_scan;
mod limits;
mod orientation;
mod png;

use std::path::Path;

use crate::error::{Error, Result, reading};

/// An image file larger than this is refused before it is read.
pub(crate) const MAX_FILE_BYTES: u64 = 64 << 20;

/// A decoded image: RGB, row by row.
pub(crate) struct Rgb {
    /// 3·width·height bytes.
    pub pixels: Vec<u8>,
    pub width: usize,
    pub height: usize,
}

/// The result of a decoder. An error says what is wrong with the image.
type Decoded = std::result::Result<Rgb, String>;
/// The result of a check. An error says what is wrong with the image.
type Checked = std::result::Result<(), String>;

/// An image format.
struct Format {
    /// The name with its article, for messages.
    name: &'static str,
    extensions: &'static [&'static str],
    /// The first bytes of each file.
    magic: &'static [u8],
    decode: fn(&[u8]) -> Decoded,
    /// Finds damage that the decoder does not report. It runs on images that decode.
    check: fn(&[u8]) -> Checked,
    /// The EXIF orientation, by which the decoder turns the image.
    orientation: fn(&[u8]) -> u8,
}

const FORMATS: [Format; 2] = [
    Format {
        name: "a JPEG",
        extensions: &["jpg", "jpeg"],
        magic: &[0xFF, 0xD8],
        decode: jpeg::decode,
        check: jpeg_scan::check,
        orientation: jpeg::told_orientation,
    },
    Format {
        name: "a PNG",
        extensions: &["png"],
        magic: b"\x89PNG",
        decode: png::decode,
        check: |_| Ok(()),
        orientation: png::told_orientation,
    },
];

/// Whether a file's name ends like that of an image that can be read.
///
/// ```
/// use foresee_celeba::is_image_name;
///
/// assert!(is_image_name("cat.JPG") && !is_image_name("cat.gif"));
/// ```
pub fn is_image_name(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| {
        let mut known = FORMATS.iter().flat_map(|format| format.extensions);
        known.any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// The bytes of an image file, if it is not too large.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let found = std::fs::metadata(path).map_err(reading(path))?;
    if !found.is_file() {
        // A pipe or a device may have no end.
        return Err(Error::Image { path: path.into(), reason: "is no plain file".into() });
    }
    let length = found.len();
    if length > MAX_FILE_BYTES {
        return Err(Error::Image {
            path: path.into(),
            reason: format!("is {length} bytes large; at most {MAX_FILE_BYTES} are read"),
        });
    }
    std::fs::read(path).map_err(reading(path))
}

/// Decodes an image whose format its first bytes tell, whatever its name. Grey and CMYK images
/// are converted to RGB, and an image is turned as its EXIF data say.
pub(crate) fn decode(bytes: &[u8]) -> Decoded {
    (format_of(bytes)?.decode)(bytes)
}

/// Makes sure that an image decodes and that none of its data is missing or damaged. Returns
/// whether it is turned as its EXIF data say.
pub(crate) fn validate(bytes: &[u8]) -> std::result::Result<bool, String> {
    let format = format_of(bytes)?;
    (format.decode)(bytes)?;
    (format.check)(bytes)?;
    Ok((format.orientation)(bytes) > 1)
}

fn format_of(bytes: &[u8]) -> std::result::Result<&'static Format, String> {
    if bytes.is_empty() {
        return Err("is empty".into());
    }
    FORMATS.iter().find(|format| bytes.starts_with(format.magic)).ok_or_else(|| {
        let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
        format!("is neither {} file", names.join(" nor "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_recognised_by_extension_and_by_first_bytes() {
        assert!(["1.jpg", "1.JPEG", "a.b.png"].into_iter().all(is_image_name));
        assert!(["1.gif", "jpg", "1.jpg.txt"].into_iter().all(|name| !is_image_name(name)));
        assert_eq!(format_of(b"\x89PNG\r\n").map(|format| format.name), Ok("a PNG"));
        let error = |bytes: &[u8]| format_of(bytes).map(|format| format.name).unwrap_err();
        assert_eq!(error(b""), "is empty");
        assert_eq!(error(b"GIF89a"), "is neither a JPEG nor a PNG file");
    }
}
