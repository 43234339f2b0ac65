//! One map over one image.

use crate::about::About;
use crate::error::{Error, Result};
use crate::face::{Face, luminance};
use crate::face_attributions::AttributionKind;
use crate::png::png;
use crate::scale::{share, upper_end};

/// Pixels a side that an overlay has at least.
const SIDE: usize = 512;

/// A map over a face as a PNG, in the colours of [`face_attributions`](crate::face_attributions()),
/// whose scale ends at the 99.5th percentile of |value|. Each pixel of the face becomes a square of
/// pixels, so that the PNG has at least 512 a side. `about` is kept in the file as text.
///
/// ```
/// use foresee_report::{About, AttributionKind, Face, overlay};
///
/// let face = Face { size: 2, rgb: vec![[0.5; 3]; 4] };
/// let map = [1., 0., -1., 0.];
/// let png = overlay(&face, AttributionKind::Signed, &map, &About::default())?;
/// assert!(png.starts_with(b"\x89PNG"));
/// # Ok::<(), foresee_report::Error>(())
/// ```
///
/// # Errors
/// If the map has not one value for each pixel of the face.
pub fn overlay(face: &Face, kind: AttributionKind, map: &[f64], about: &About) -> Result<Vec<u8>> {
    let size = face.size;
    if map.len() != size * size || face.rgb.len() != size * size || size == 0 {
        return Err(Error::Shape(format!(
            "a map of {} values does not fit a face of {size} × {size} pixels",
            map.len()
        )));
    }
    let high = upper_end(map.iter().map(|value| value.abs()));
    let small: Vec<[u8; 3]> = (face.rgb.iter().zip(map))
        .map(|(pixel, value)| kind.overlaid(luminance(pixel), share(*value, high)))
        .collect();
    let times = SIDE.div_ceil(size);
    let side = size * times;
    let pixel = |at: usize| small[at / side / times * size + at % side / times];
    let rgb: Vec<u8> = (0..side * side).flat_map(pixel).collect();
    let failed =
        |e: png::EncodingError| Error::Drawing { figure: "overlay".into(), reason: e.to_string() };
    png((side as u32, side as u32), &rgb, None, "overlay", about).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blue over the pixel that speaks against, red over the one that speaks for.
    #[test]
    fn each_pixel_of_the_face_becomes_a_square()
    -> std::result::Result<(), Box<dyn std::error::Error>> {
        let face = Face { size: 2, rgb: vec![[0.5; 3]; 4] };
        let about = About { caption: "LRP".into(), ..About::default() };
        let bytes = overlay(&face, AttributionKind::Signed, &[-1., 0., 0., 1.], &about)?;
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info()?;
        let mut rgb = vec![0; 512 * 512 * 3];
        let info = reader.next_frame(&mut rgb)?;
        assert_eq!((info.width, info.height), (512, 512));
        let at = |x: usize, y: usize| &rgb[(y * 512 + x) * 3..][..3];
        assert_eq!(at(0, 0), at(255, 255));
        assert_eq!(at(256, 0), at(511, 255));
        let (against, for_it) = (at(0, 0), at(511, 511));
        assert!(against[2] > against[0] && for_it[0] > for_it[2], "{against:?} {for_it:?}");
        assert!(overlay(&face, AttributionKind::Signed, &[1.], &about).is_err());
        Ok(())
    }
}
