//! Colours that the colour-blind tell apart, and colour maps.

use plotters::style::RGBColor;

use crate::style::Palette;

/// Okabe & Ito (2008), in the order in which curves take them.
const OKABE_ITO: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];
/// Tol's bright scheme (technical note SRON/EPS/TN/09-002, 2021).
const TOL_BRIGHT: [RGBColor; 7] = [
    RGBColor(68, 119, 170),
    RGBColor(238, 102, 119),
    RGBColor(34, 136, 51),
    RGBColor(170, 51, 119),
    RGBColor(204, 187, 68),
    RGBColor(102, 204, 238),
    RGBColor(187, 187, 187),
];
const GREYS: [RGBColor; 7] = [
    RGBColor(0, 0, 0),
    RGBColor(110, 110, 110),
    RGBColor(75, 75, 75),
    RGBColor(140, 140, 140),
    RGBColor(40, 40, 40),
    RGBColor(125, 125, 125),
    RGBColor(165, 165, 165),
];

impl Palette {
    /// The colour of a curve or group, by number.
    pub(crate) fn curve(self, i: usize) -> RGBColor {
        let colours = match self {
            Self::OkabeIto => OKABE_ITO,
            Self::TolBright => TOL_BRIGHT,
            Self::Grey => GREYS,
        };
        colours[i % colours.len()]
    }

    /// The colours of cells: deeper means higher.
    pub(crate) fn cells(self) -> ColourMap {
        match self {
            Self::OkabeIto | Self::TolBright => ColourMap::Blues,
            Self::Grey => ColourMap::Greys,
        }
    }
}

/// A colour map from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ColourMap {
    /// White to dark blue (ColorBrewer's Blues): deeper means higher. Its lightness falls all the
    /// way, but not evenly.
    Blues,
    /// White to black: lightness falls evenly.
    Greys,
    /// Blue over near-white to red (CET-D1 of Kovesi, 2015), for values on both sides of 0:
    /// lightness falls evenly and alike to both ends.
    Diverging,
    /// matplotlib's inferno, for overlays: lightness grows evenly.
    Inferno,
    /// matplotlib's viridis_r, yellow over green to dark violet: lightness falls evenly, and no
    /// colour is one of [`Diverging`](Self::Diverging)'s.
    ViridisReversed,
}

const BLUES: [[u8; 3]; 6] =
    [[255, 255, 255], [222, 235, 247], [158, 202, 225], [66, 146, 198], [8, 81, 156], [8, 30, 75]];
const DIVERGING: [[u8; 3]; 17] = [
    [32, 80, 218],
    [81, 98, 222],
    [112, 117, 225],
    [137, 136, 228],
    [160, 156, 231],
    [181, 176, 234],
    [201, 197, 236],
    [220, 218, 238],
    [236, 231, 234],
    [241, 214, 207],
    [240, 189, 176],
    [236, 164, 146],
    [231, 140, 118],
    [223, 114, 90],
    [214, 87, 63],
    [203, 57, 36],
    [191, 2, 5],
];
const INFERNO: [[u8; 3]; 17] = [
    [0, 0, 4],
    [11, 7, 36],
    [33, 12, 74],
    [60, 9, 101],
    [87, 16, 109],
    [112, 25, 110],
    [137, 34, 106],
    [163, 43, 97],
    [187, 55, 85],
    [209, 70, 68],
    [227, 89, 50],
    [241, 113, 30],
    [249, 141, 10],
    [252, 171, 15],
    [249, 202, 50],
    [242, 232, 101],
    [252, 255, 164],
];
const VIRIDIS_REVERSED: [[u8; 3]; 17] = [
    [253, 231, 37],
    [213, 226, 26],
    [171, 220, 50],
    [130, 211, 76],
    [93, 201, 99],
    [62, 188, 116],
    [40, 174, 128],
    [31, 159, 136],
    [33, 144, 140],
    [38, 129, 142],
    [44, 114, 142],
    [51, 99, 141],
    [59, 82, 139],
    [66, 64, 134],
    [71, 45, 123],
    [72, 24, 106],
    [68, 1, 84],
];

impl ColourMap {
    /// The colour of a value in [0, 1].
    pub(crate) fn at(self, value: f64) -> [u8; 3] {
        let stops: &[[u8; 3]] = match self {
            Self::Blues => &BLUES,
            Self::Greys => &[[255; 3], [0; 3]],
            Self::Diverging => &DIVERGING,
            Self::Inferno => &INFERNO,
            Self::ViridisReversed => &VIRIDIS_REVERSED,
        };
        // What is not a number is drawn grey.
        if value.is_nan() {
            return [160; 3];
        }
        let at = value.clamp(0., 1.) * (stops.len() - 1) as f64;
        let low = (at as usize).min(stops.len() - 2);
        let share = at - low as f64;
        std::array::from_fn(|c| {
            (f64::from(stops[low][c]) * (1. - share) + f64::from(stops[low + 1][c]) * share).round()
                as u8
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// L* of CIELAB, from 0 to 100.
    pub(crate) fn lightness(rgb: [u8; 3]) -> f64 {
        let linear = rgb
            .map(|c| f64::from(c) / 255.)
            .map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
        let y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
        if y > 0.008856 { 116. * y.cbrt() - 16. } else { 903.3 * y }
    }

    #[test]
    fn both_arms_of_the_diverging_map_are_equally_light() {
        for i in 0..=100 {
            let [below, above] = [-1., 1.]
                .map(|sign| lightness(ColourMap::Diverging.at(0.5 + sign * f64::from(i) / 200.)));
            assert!((below - above).abs() < 2., "at {i} %: {below} and {above}");
        }
    }

    /// From stop to stop lightness changes by nearly the same.
    #[test]
    fn lightness_changes_evenly() {
        for (map, from, to) in [
            (ColourMap::Inferno, 0., 1.),
            (ColourMap::ViridisReversed, 0., 1.),
            (ColourMap::Diverging, 0.5, 1.),
            (ColourMap::Diverging, 0.5, 0.),
        ] {
            let steps: Vec<f64> = (0..=8)
                .map(|i| lightness(map.at(from + (to - from) * f64::from(i) / 8.)))
                .collect();
            let mean = (steps[8] - steps[0]) / 8.;
            let off =
                steps.windows(2).map(|pair| (pair[1] - pair[0] - mean).abs()).fold(0., f64::max);
            assert!(off < 0.4 * mean.abs(), "{map:?} towards {to}: {steps:?}");
        }
    }
}
