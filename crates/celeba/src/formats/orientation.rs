//! The orientation that cameras write into EXIF data: which way up an image is to be shown.

use super::Rgb;

/// The tag of the orientation, and the type of its value: an unsigned 16-bit number.
const TAG: u16 = 0x0112;
const SHORT: u16 = 3;

/// The orientation that EXIF data (a TIFF block) tells, from 1 to 8; 1, as it lies, where there is
/// none that can be read.
pub(super) fn orientation(exif: Option<&[u8]>) -> u8 {
    exif.and_then(tag).filter(|value| (1..=8).contains(value)).unwrap_or(1) as u8
}

fn tag(exif: &[u8]) -> Option<u16> {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let from: fn([u8; 2]) -> u16 = match exif.get(..2)? {
        b"II" => u16::from_le_bytes,
        b"MM" => u16::from_be_bytes,
        _ => return None,
    };
    let u16_at = |at: usize| exif.get(at..at + 2).map(|b| from([b[0], b[1]]));
    let is_little = exif.starts_with(b"II");
    let (low, high) = if is_little { (4, 6) } else { (6, 4) };
    let directory = usize::from(u16_at(high)?) << 16 | usize::from(u16_at(low)?);
    let entries = usize::from(u16_at(directory)?);
    (0..entries)
        .map(|i| directory + 2 + 12 * i)
        .find(|&entry| u16_at(entry) == Some(TAG) && u16_at(entry + 2) == Some(SHORT))
        .and_then(|entry| u16_at(entry + 8))
}

/// The image as it is to be shown.
pub(super) fn upright(image: Rgb, orientation: u8) -> Rgb {
    if orientation <= 1 {
        return image;
    }
    let Rgb { pixels, width: w, height: h } = image;
    let (width, height) = if orientation >= 5 { (h, w) } else { (w, h) };
    let source = |x: usize, y: usize| match orientation {
        2 => (w - 1 - x, y),
        3 => (w - 1 - x, h - 1 - y),
        4 => (x, h - 1 - y),
        5 => (y, x),
        6 => (y, h - 1 - x),
        7 => (w - 1 - y, h - 1 - x),
        _ => (w - 1 - y, x),
    };
    let mut turned = Vec::with_capacity(pixels.len());
    for y in 0..height {
        for x in 0..width {
            let (x, y) = source(x, y);
            let at = 3 * (y * w + x);
            turned.extend_from_slice(&pixels[at..at + 3]);
        }
    }
    Rgb { pixels: turned, width, height }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif(order: &[u8], value: u16) -> Vec<u8> {
        let little = order == b"II";
        let short = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let long = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let parts: [&[u8]; 8] = [
            order,
            &short(42),
            &long(8),
            &short(1),
            &short(TAG),
            &short(SHORT),
            &long(1),
            &[short(value), [0, 0]].concat(),
        ];
        parts.concat()
    }

    #[test]
    fn the_orientation_is_read_in_both_byte_orders() {
        for order in [b"II", b"MM"] {
            for value in 1..=8 {
                let block = exif(order, value);
                assert_eq!(u16::from(orientation(Some(&block))), value);
                let with_name = [b"Exif\0\0", &block[..]].concat();
                assert_eq!(u16::from(orientation(Some(&with_name))), value);
            }
            assert_eq!(orientation(Some(&exif(order, 9))), 1);
        }
        // Damaged at every length.
        let block = exif(b"MM", 6);
        assert!((0..block.len() - 3).all(|end| orientation(Some(&block[..end])) == 1));
        assert_eq!(orientation(Some(b"II*\0\xFF\xFF\xFF\xFF")), 1);
        assert_eq!(orientation(None), 1);
    }

    /// ```text
    /// a b c
    /// d e f
    /// ```
    #[test]
    fn an_image_is_turned_as_exif_says() {
        let turned = |orientation| {
            let pixels = b"abcdef".iter().flat_map(|&p| [p; 3]).collect();
            let image = upright(Rgb { pixels, width: 3, height: 2 }, orientation);
            let letters: Vec<u8> = image.pixels.chunks(3).map(|p| p[0]).collect();
            (image.width, image.height, String::from_utf8(letters).unwrap())
        };
        for (orientation, width, letters) in [
            (1, 3, "abcdef"),
            (2, 3, "cbafed"),
            (3, 3, "fedcba"),
            (4, 3, "defabc"),
            (5, 2, "adbecf"),
            (6, 2, "daebfc"),
            (7, 2, "fcebda"),
            (8, 2, "cfbead"),
        ] {
            assert_eq!(turned(orientation), (width, 6 / width, letters.into()), "{orientation}");
        }
    }
}
