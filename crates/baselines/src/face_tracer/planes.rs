//! The values of a pixel that features are made of.

use serde::{Deserialize, Serialize};

/// A kind of values that an image has at each pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelType {
    /// Red, green and blue.
    Rgb,
    /// Hue, saturation and value.
    Hsv,
    /// The mean of red, green and blue.
    Intensity,
    /// The length of the intensity's gradient.
    EdgeMagnitude,
    /// The direction of the intensity's gradient, without its sign.
    EdgeOrientation,
}

impl PixelType {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Rgb, Self::Hsv, Self::Intensity, Self::EdgeMagnitude, Self::EdgeOrientation];

    /// A short name.
    pub fn id(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Hsv => "hsv",
            Self::Intensity => "intensity",
            Self::EdgeMagnitude => "edge_magnitude",
            Self::EdgeOrientation => "edge_orientation",
        }
    }

    /// Its planes among those of [`Planes`].
    pub(super) fn planes(self) -> std::ops::Range<usize> {
        match self {
            Self::Rgb => 0..3,
            Self::Hsv => 3..6,
            Self::Intensity => 6..7,
            Self::EdgeMagnitude => 7..8,
            Self::EdgeOrientation => 8..9,
        }
    }
}

/// Planes of one image: those of all [`PixelType`]s, each from 0 to 1.
pub(super) struct Planes {
    pub size: usize,
    values: Vec<f32>,
}

/// How many planes there are.
const PLANES: usize = 9;

impl Planes {
    /// Of an image [3, size, size] with values in [0, 1]; what is outside is clamped.
    pub fn new(rgb: &[f32], size: usize) -> Self {
        let area = size * size;
        let mut values = vec![0f32; PLANES * area];
        for at in 0..area {
            let pixel = [rgb[at], rgb[area + at], rgb[2 * area + at]].map(|v| v.clamp(0., 1.));
            let [h, s, v] = hsv(pixel);
            let mean = pixel.iter().sum::<f32>() / 3.;
            for (plane, value) in pixel.into_iter().chain([h, s, v, mean]).enumerate() {
                values[plane * area + at] = value;
            }
        }
        let mut planes = Self { size, values };
        planes.add_edges();
        planes
    }

    /// Gradients of the intensity by central differences.
    fn add_edges(&mut self) {
        let (size, area) = (self.size, self.size * self.size);
        let intensity = PixelType::Intensity.planes().start * area;
        for y in 0..size {
            for x in 0..size {
                let at = |x: usize, y: usize| self.values[intensity + y * size + x];
                let dx = at((x + 1).min(size - 1), y) - at(x.saturating_sub(1), y);
                let dy = at(x, (y + 1).min(size - 1)) - at(x, y.saturating_sub(1));
                // At most √2.
                let magnitude = (dx * dx + dy * dy).sqrt() / std::f32::consts::SQRT_2;
                let half_turn = dy.atan2(dx).rem_euclid(std::f32::consts::PI);
                let orientation = half_turn / std::f32::consts::PI;
                let magnitude_at = PixelType::EdgeMagnitude.planes().start * area;
                let orientation_at = PixelType::EdgeOrientation.planes().start * area;
                self.values[magnitude_at + y * size + x] = magnitude;
                self.values[orientation_at + y * size + x] = orientation;
            }
        }
    }

    /// The value between pixels; beyond the border that of the border.
    pub fn bilinear(&self, plane: usize, x: f32, y: f32) -> f32 {
        let last = (self.size - 1) as f32;
        let (x, y) = (x.clamp(0., last), y.clamp(0., last));
        let (left, top) = (x.floor() as usize, y.floor() as usize);
        let (right, bottom) = ((left + 1).min(self.size - 1), (top + 1).min(self.size - 1));
        let (fx, fy) = (x - left as f32, y - top as f32);
        let area = self.size * self.size;
        let at = |x: usize, y: usize| self.values[plane * area + y * self.size + x];
        let upper = at(left, top) * (1. - fx) + at(right, top) * fx;
        let lower = at(left, bottom) * (1. - fx) + at(right, bottom) * fx;
        upper * (1. - fy) + lower * fy
    }
}

/// Hue, saturation and value of red, green and blue, each from 0 to 1. Grey has the hue 0.
fn hsv([r, g, b]: [f32; 3]) -> [f32; 3] {
    let value = r.max(g).max(b);
    let range = value - r.min(g).min(b);
    if range == 0. {
        return [0., 0., value];
    }
    let sixths = if value == r {
        ((g - b) / range).rem_euclid(6.)
    } else if value == g {
        (b - r) / range + 2.
    } else {
        (r - g) / range + 4.
    };
    [sixths / 6., range / value, value]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_are_those_of_the_colour_wheel() {
        // Numbers of Python's colorsys.rgb_to_hsv.
        for (rgb, expected) in [
            ([1., 0., 0.], [0., 1., 1.]),
            ([0., 1., 0.], [1. / 3., 1., 1.]),
            ([0., 0., 1.], [2. / 3., 1., 1.]),
            ([0.2, 0.4, 0.1], [0.277_777_8, 0.75, 0.4]),
            ([0.6, 0.2, 0.5], [0.875, 0.666_666_7, 0.6]),
            ([0.3, 0.3, 0.3], [0., 0., 0.3]),
        ] {
            let found = hsv(rgb);
            let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0., f32::max) < 1e-6, "{rgb:?}: {found:?}");
        }
    }

    #[test]
    fn edges_are_where_the_intensity_changes() {
        // Dark left, bright right, from column 2 of 4.
        let plane: Vec<f32> = (0..16).map(|i| if i % 4 < 2 { 0. } else { 1. }).collect();
        let planes = Planes::new(&plane.repeat(3), 4);
        let at = |kind: PixelType, x: f32| planes.bilinear(kind.planes().start, x, 1.);
        assert_eq!(at(PixelType::EdgeMagnitude, 0.), 0.);
        let steep = at(PixelType::EdgeMagnitude, 1.);
        assert!((steep - 1. / 2f32.sqrt()).abs() < 1e-6, "{steep}");
        // To the right: the angle 0.
        assert_eq!(at(PixelType::EdgeOrientation, 1.), 0.);
        assert_eq!(at(PixelType::Intensity, 1.5), 0.5);
    }
}
