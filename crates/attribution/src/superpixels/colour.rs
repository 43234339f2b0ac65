//! sRGB to CIELAB.

/// The white of the illuminant D65 for an observer of 2°, in CIEXYZ.
const WHITE: [f64; 3] = [0.95047, 1., 1.08883];
/// CIEXYZ of linear red, green and blue.
const XYZ: [[f64; 3]; 3] = [
    [0.412453, 0.357580, 0.180423],
    [0.212671, 0.715160, 0.072169],
    [0.019334, 0.119193, 0.950227],
];

/// Red, green and blue of sRGB, from 0 to 1, become L* (0 to 100), a* and b* of CIELAB (1976).
pub(super) fn to_lab(pixel: &mut [f64]) {
    let linear = |v: f64| if v > 0.04045 { ((v + 0.055) / 1.055).powf(2.4) } else { v / 12.92 };
    let cubic = |v: f64| if v > 0.008856 { v.cbrt() } else { 7.787 * v + 16. / 116. };
    let rgb: Vec<f64> = pixel.iter().map(|&v| linear(v)).collect();
    let f = |i: usize| {
        let xyz: f64 = XYZ[i].iter().zip(&rgb).map(|(a, v)| a * v).sum();
        cubic(xyz / WHITE[i])
    };
    let (x, y, z) = (f(0), f(1), f(2));
    let lab = [116. * y - 16., 500. * (x - y), 200. * (y - z)];
    pixel.iter_mut().zip(lab).for_each(|(value, new)| *value = new);
}

#[cfg(test)]
mod tests {
    /// CIELAB of sRGB's primaries and its white, as published to a hundredth.
    #[test]
    fn colours_of_srgb() {
        for (rgb, lab) in [
            ([1., 1., 1.], [100., 0., 0.]),
            ([0., 0., 0.], [0., 0., 0.]),
            ([1., 0., 0.], [53.24, 80.09, 67.20]),
            ([0., 1., 0.], [87.73, -86.18, 83.18]),
            ([0., 0., 1.], [32.30, 79.19, -107.86]),
        ] {
            let mut pixel: [f64; 3] = rgb;
            super::to_lab(&mut pixel);
            assert!(pixel.iter().zip(lab).all(|(a, b)| (a - b).abs() < 0.02), "{rgb:?}: {pixel:?}");
        }
    }
}
