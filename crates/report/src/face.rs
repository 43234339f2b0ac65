//! Faces under maps of values.

/// A square picture of a face.
#[derive(Debug, Clone)]
pub struct Face {
    /// Height and width.
    pub size: usize,
    /// Red, green and blue in [0, 1], pixel by pixel.
    pub rgb: Vec<[f64; 3]>,
}

/// Luminance of the face that colour bars show their colours over.
pub(crate) const MID_GREY: f64 = 0.5;

/// How bright a pixel is (ITU-R BT.601).
pub(crate) fn luminance(pixel: &[f64; 3]) -> f64 {
    0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]
}

/// `grey` in [0, 1] under a colour; `alpha` is how much of the colour shows.
pub(crate) fn blend(grey: f64, colour: [u8; 3], alpha: f64) -> [u8; 3] {
    colour.map(|c| byte((1. - alpha) * grey + alpha * f64::from(c) / 255.))
}

/// A value in [0, 1] as a byte.
pub(crate) fn byte(value: f64) -> u8 {
    (value * 255.).clamp(0., 255.).round() as u8
}
