//! Resizing of RGB images. `Resizer::resize` would compile its code for every type of pixel, which
//! takes a minute; RGB bytes are the only one here.

use std::cell::RefCell;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::formats::Rgb;

thread_local! {
    /// Reuses its buffers for the images of a thread.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Resizes RGB bytes of `from` (width, height) to RGB bytes of `to`.
pub(crate) fn resize(
    rgb: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    options: &ResizeOptions,
) -> Result<Vec<u8>, String> {
    let mut resized = vec![0; 3 * to.0 * to.1];
    let source = TypedImageRef::<U8x3>::from_buffer(from.0 as u32, from.1 as u32, rgb)
        .map_err(|e| e.to_string())?;
    let mut target = TypedImage::<U8x3>::from_buffer(to.0 as u32, to.1 as u32, &mut resized)
        .map_err(|e| e.to_string())?;
    RESIZER
        .with_borrow_mut(|resizer| resizer.resize_typed(&source, &mut target, options))
        .map_err(|e| e.to_string())?;
    drop(target);
    Ok(resized)
}

/// Resizes a part of an image (left, top, width, height) to RGB bytes of `to` (width, height), by
/// bilinear filtering whose support grows with the scale, as in PyTorch with `antialias=True`: rows
/// first, then columns, each rounded to bytes. The exported `preprocess` (crate foresee,
/// `export/templates`) computes the same bytes.
pub(crate) fn resize_part(
    image: &Rgb,
    (left, top, width, height): (f64, f64, f64, f64),
    to: (usize, usize),
) -> Result<Vec<u8>, String> {
    let options = ResizeOptions::new()
        .crop(left, top, width, height)
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    resize(&image.pixels, (image.width, image.height), to, &options)
}
