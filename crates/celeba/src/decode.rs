//! From a JPEG file to normalised numbers.

use std::cell::RefCell;
use std::path::Path;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::error::{Error, Result, at};

/// Images larger than this in either direction are refused before their pixels are allocated.
const LARGEST: usize = 8192;
/// And those of more pixels than this.
const MOST_PIXELS: usize = 1 << 25;
/// An image file larger than this is refused before it is read.
pub(crate) const LARGEST_FILE: u64 = 64 << 20;

thread_local! {
    /// Keeps its buffers between images.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// x ↦ (x - mean) / deviation, by colour channel, for pixels in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalisation {
    /// Subtracted from red, green and blue.
    pub mean: [f32; 3],
    /// Divided by.
    pub deviation: [f32; 3],
}

impl Default for Normalisation {
    /// Pixels to [-1, 1].
    fn default() -> Self {
        Self { mean: [0.5; 3], deviation: [0.5; 3] }
    }
}

/// Which part of an image becomes the square that a network sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Crop {
    /// The largest centred square: of CelebA's aligned images rows 20 to 197 of 218.
    #[default]
    Square,
    /// All of it, squeezed.
    Whole,
}

/// What is done to an image between its file and the network: a part is cut out, resized, and
/// normalised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preprocessing {
    /// The part.
    pub crop: Crop,
    /// Height and width of the result.
    pub image_size: usize,
    /// The normalisation.
    pub normalisation: Normalisation,
}

/// Which part of an image is seen, and whether in a mirror.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Mirrored.
    pub flip: bool,
    /// Sides of the part that is seen, as a share of what [`Crop`] leaves; in (0, 1].
    pub side: f64,
    /// Where it lies in the room that is left, from 0 (left, top) to 1 (right, bottom); 0.5 is the
    /// centre.
    pub place: [f64; 2],
}

impl Default for View {
    /// All that [`Crop`] leaves, not mirrored.
    fn default() -> Self {
        Self { flip: false, side: 1., place: [0.5; 2] }
    }
}

impl Preprocessing {
    /// Reads a view of a JPEG or PNG file into `out` [3, size, size].
    ///
    /// # Errors
    /// [`Error::Image`] if the file is missing, empty, truncated, huge or no image.
    pub fn read(&self, path: &Path, view: &View, out: &mut [f32]) -> Result<()> {
        let wrong = |reason: String| Error::Image { path: path.into(), reason };
        let square = self.square(&read_file(path)?, view).map_err(wrong)?;
        self.write(&square, view.flip, out);
        Ok(())
    }

    /// The view's pixels, RGB row by row, not mirrored; says what is wrong with the image.
    pub(crate) fn square(&self, bytes: &[u8], view: &View) -> std::result::Result<Vec<u8>, String> {
        let (rgb, width, height) = decode(bytes)?;
        resize(&rgb, (width, height), self.crop, view, self.image_size)
    }

    /// Normalises pixels, RGB row by row, into `out` [3, size, size].
    pub(crate) fn write(&self, square: &[u8], flip: bool, out: &mut [f32]) {
        let size = self.image_size;
        for (channel, plane) in out.chunks_exact_mut(size * size).enumerate() {
            let scale = 1. / (255. * self.normalisation.deviation[channel]);
            let shift = -self.normalisation.mean[channel] / self.normalisation.deviation[channel];
            let value: [f32; 256] = std::array::from_fn(|byte| byte as f32 * scale + shift);
            for (row, from) in plane.chunks_exact_mut(size).zip(square.chunks_exact(3 * size)) {
                let pixels = from.chunks_exact(3).map(|pixel| value[usize::from(pixel[channel])]);
                match flip {
                    true => row.iter_mut().rev().zip(pixels).for_each(|(out, v)| *out = v),
                    false => row.iter_mut().zip(pixels).for_each(|(out, v)| *out = v),
                }
            }
        }
    }
}

/// The bytes of an image file that is not too large to be one.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>> {
    match std::fs::metadata(path).map_err(at(path))?.len() {
        length if length > LARGEST_FILE => Err(Error::Image {
            path: path.into(),
            reason: format!("is {length} bytes large; at most {LARGEST_FILE} are read"),
        }),
        _ => std::fs::read(path).map_err(at(path)),
    }
}

/// What a truncated file lacks shows at its end: the end marker comes after the last scan's start.
/// Some writers pad the end.
fn check_end(bytes: &[u8]) -> std::result::Result<(), &'static str> {
    if bytes.len() > 4 && bytes.ends_with(&[0xFF, 0xD9]) {
        return Ok(());
    }
    let last_scan = bytes
        .windows(2)
        .rposition(|pair| pair == [0xFF, 0xDA])
        .ok_or("is truncated: it has no scan")?;
    match bytes[last_scan..].windows(2).any(|pair| pair == [0xFF, 0xD9]) {
        true => Ok(()),
        false => Err("is truncated: it has no JPEG end marker"),
    }
}

/// RGB bytes, width and height of a JPEG or PNG file, whatever its name. Grey and CMYK images are
/// converted.
pub(crate) fn decode(bytes: &[u8]) -> std::result::Result<(Vec<u8>, usize, usize), String> {
    match bytes {
        [] => Err("is empty".into()),
        [0xFF, 0xD8, ..] => jpeg(bytes),
        [0x89, b'P', b'N', b'G', ..] => png(bytes),
        _ => Err("is neither a JPEG nor a PNG file".into()),
    }
}

/// Makes sure that an image decodes and that nothing is missing in it.
pub(crate) fn examine(bytes: &[u8]) -> std::result::Result<(), String> {
    decode(bytes)?;
    if bytes.starts_with(&[0xFF, 0xD8]) {
        crate::scan::check(bytes).map_err(str::to_owned)
    } else {
        Ok(())
    }
}

/// Refuses what would take too much memory, before it is taken; `most` pixels are what the file can
/// hold.
fn check_size(width: usize, height: usize, most: usize) -> std::result::Result<(), String> {
    if width > LARGEST || height > LARGEST || width * height > MOST_PIXELS {
        return Err(format!(
            "is {width}×{height} pixels large; at most {LARGEST} in each direction and {MOST_PIXELS} in all are read"
        ));
    }
    match width * height > most {
        true => Err(format!(
            "is truncated: it says that it is {width}×{height} pixels large, for which it is too short"
        )),
        false => Ok(()),
    }
}

/// Pixels for a byte at most: a JPEG file takes a bit for 8×8 of them; PNG packs 1:1032 at best,
/// and a bit can be a pixel.
const JPEG_PIXELS: usize = 8 * 64;
const PNG_PIXELS: usize = 8 * 1032;

fn png(bytes: &[u8]) -> std::result::Result<(Vec<u8>, usize, usize), String> {
    let failed = |e: png::DecodingError| format!("cannot be decoded: {e}");
    let limits = png::Limits { bytes: 8 * MOST_PIXELS };
    let mut decoder = png::Decoder::new_with_limits(std::io::Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(failed)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    check_size(width, height, PNG_PIXELS * bytes.len())?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("has no size")?];
    let frame = reader.next_frame(&mut pixels).map_err(failed)?;
    let rgb: Vec<u8> = match frame.color_type {
        png::ColorType::Rgb => pixels,
        png::ColorType::Rgba => pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        png::ColorType::Grayscale => pixels.iter().flat_map(|&p| [p; 3]).collect(),
        png::ColorType::GrayscaleAlpha => pixels.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        png::ColorType::Indexed => return Err("has a palette that was not resolved".into()),
    };
    Ok((rgb, width, height))
}

/// Strict, as the decoder would otherwise fill what it cannot read with grey.
fn jpeg(bytes: &[u8]) -> std::result::Result<(Vec<u8>, usize, usize), String> {
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
    check_size(width, height, JPEG_PIXELS * bytes.len())?;
    let rgb = decoder.decode().map_err(|e| format!("cannot be decoded: {e:?}"))?;
    if rgb.len() != 3 * width * height || rgb.is_empty() {
        return Err("does not decode to RGB pixels".into());
    }
    Ok((rgb, width, height))
}

/// A part of an RGB image at another size, by area-true bilinear filtering.
fn resize(
    rgb: &[u8],
    (width, height): (usize, usize),
    crop: Crop,
    view: &View,
    size: usize,
) -> std::result::Result<Vec<u8>, String> {
    let (w, h) = (width as f64, height as f64);
    let (whole_w, whole_h) = match crop {
        Crop::Square => (w.min(h), w.min(h)),
        Crop::Whole => (w, h),
    };
    let room = 1. - view.side;
    let (left, top) = (
        (w - whole_w) / 2. + view.place[0] * room * whole_w,
        (h - whole_h) / 2. + view.place[1] * room * whole_h,
    );
    let source = ImageRef::new(width as u32, height as u32, rgb, PixelType::U8x3)
        .map_err(|e| e.to_string())?;
    let mut square = Image::new(size as u32, size as u32, PixelType::U8x3);
    let options = ResizeOptions::new()
        .crop(left, top, view.side * whole_w, view.side * whole_h)
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize(&source, &mut square, &options))
        .map_err(|e| e.to_string())?;
    Ok(square.into_vec())
}
