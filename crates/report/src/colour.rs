//! Colours that the colour-blind tell apart, and maps whose lightness grows evenly.

use plotters::style::RGBColor;

/// Okabe & Ito (2008), in the order in which curves take them.
const CATEGORIES: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];

pub(crate) fn category(i: usize) -> RGBColor {
    CATEGORIES[i % CATEGORIES.len()]
}

/// A colour map from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Map {
    /// White to dark blue (ColorBrewer's Blues): deeper means higher.
    Blues,
    /// Dark blue over white to dark red (ColorBrewer's RdBu), for values on both sides of 0.
    Diverging,
    /// matplotlib's inferno, for overlays.
    Inferno,
}

const BLUES: [[u8; 3]; 6] = [[255, 255, 255], [222, 235, 247], [158, 202, 225], [66, 146, 198], [8, 81, 156], [8, 30, 75]];
const DIVERGING: [[u8; 3]; 9] =
    [[5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [255, 255, 255], [253, 199, 165], [239, 138, 98], [203, 60, 50], [120, 0, 31]];
const INFERNO: [[u8; 3]; 8] =
    [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];

impl Map {
    pub(crate) fn at(self, value: f64) -> [u8; 3] {
        let stops: &[[u8; 3]] = match self {
            Self::Blues => &BLUES,
            Self::Diverging => &DIVERGING,
            Self::Inferno => &INFERNO,
        };
        // What is not a number is drawn grey.
        if value.is_nan() {
            return [160; 3];
        }
        let at = value.clamp(0., 1.) * (stops.len() - 1) as f64;
        let low = (at as usize).min(stops.len() - 2);
        let share = at - low as f64;
        std::array::from_fn(|c| (f64::from(stops[low][c]) * (1. - share) + f64::from(stops[low + 1][c]) * share).round() as u8)
    }
}
