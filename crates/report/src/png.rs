//! PNG files that say what they show.

use crate::about::About;
use crate::style::INCH;

/// The bytes of a PNG of this width and height, with its pixels per inch and what is said about it.
pub(crate) fn png(
    (width, height): (u32, u32),
    rgb: &[u8],
    dpi: Option<f64>,
    title: &str,
    about: &About,
) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let per_metre = dpi.map(|dpi| (dpi / INCH * 1000.).round() as u32);
    encoder.set_pixel_dims(per_metre.map(|n| png::PixelDimensions {
        xppu: n,
        yppu: n,
        unit: png::Unit::Meter,
    }));
    let texts = [
        ("Title", title.to_owned()),
        ("Description", about.caption.clone()),
        ("Software", About::CREATOR.into()),
        ("Source", about.made_from()),
    ];
    for (keyword, text) in texts {
        encoder.add_itxt_chunk(keyword.into(), text)?;
    }
    encoder.write_header()?.write_image_data(rgb)?;
    Ok(bytes)
}
