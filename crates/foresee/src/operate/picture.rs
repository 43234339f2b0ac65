//! Pictures as PNG.

use anyhow::Context;
use foresee_report::{About, AttributionKind, Face, overlay};

use crate::error::Result;

/// A face in colour.
pub(crate) fn in_colour(face: &Face) -> Result<Vec<u8>> {
    let rgb: Vec<u8> =
        face.rgb.iter().flatten().map(|v| (v * 255.).clamp(0., 255.).round() as u8).collect();
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, face.size as u32, face.size as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().context("a picture")?.write_image_data(&rgb).context("a picture")?;
    Ok(bytes)
}

/// A map of values over a face in grey.
pub(crate) fn under_map(face: &Face, kind: AttributionKind, map: &[f64]) -> Result<Vec<u8>> {
    Ok(overlay(face, kind, map, &About::default())?)
}
