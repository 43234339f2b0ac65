//! One map over one image.

use crate::about::About;
use crate::error::{Error, Result};
use crate::face::{Face, luminance};
use crate::face_attributions::AttributionKind;
use crate::png::png;
use crate::scale::{share, upper_end};

/// A map over a face as a PNG, in the colours of [`face_attributions`](crate::face_attributions()),
/// whose scale ends at the 99.5th percentile of |value|. `about` is kept in the file as text.
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
    let rgb: Vec<u8> = (face.rgb.iter().zip(map))
        .flat_map(|(pixel, value)| kind.overlaid(luminance(pixel), share(*value, high)))
        .collect();
    let failed =
        |e: png::EncodingError| Error::Drawing { figure: "overlay".into(), reason: e.to_string() };
    png((size as u32, size as u32), &rgb, None, "overlay", about).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_against_is_blue_and_what_speaks_for_is_red()
    -> std::result::Result<(), Box<dyn std::error::Error>> {
        let face = Face { size: 2, rgb: vec![[0.5; 3]; 4] };
        let about = About { caption: "LRP".into(), ..About::default() };
        let bytes = overlay(&face, AttributionKind::Signed, &[-1., 0., 0., 1.], &about)?;
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info()?;
        let mut rgb = vec![0; 2 * 2 * 3];
        let info = reader.next_frame(&mut rgb)?;
        assert_eq!((info.width, info.height), (2, 2));
        let (against, for_it) = (&rgb[..3], &rgb[9..]);
        assert!(against[2] > against[0] && for_it[0] > for_it[2], "{against:?} {for_it:?}");
        assert!(overlay(&face, AttributionKind::Signed, &[1.], &about).is_err());
        Ok(())
    }
}
