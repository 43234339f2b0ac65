//! The region of an attribute, as the network sees it.

use super::{HEIGHT, WIDTH};
use crate::preprocessing::Crop;

/// The share of a region in each pixel of the network's input [size, size], row by row, in [0, 1].
///
/// `region` is [[`HEIGHT`], [`WIDTH`]].
pub(super) fn region_shares(region: &[bool], crop: Crop, size: usize) -> Vec<f64> {
    let (width, height) = crop.size((WIDTH, HEIGHT));
    let left = (WIDTH - width) / 2;
    let top = (HEIGHT - height) / 2;
    let mut inside = vec![0.; size * size];
    let mut pixels = vec![0.; size * size];
    for y in 0..height {
        for x in 0..width {
            let cell = y * size / height * size + x * size / width;
            inside[cell] += f64::from(u8::from(region[(y + top) * WIDTH + x + left]));
            pixels[cell] += 1.;
        }
    }
    inside.into_iter().zip(pixels).map(|(n, all)| if all > 0. { n / all } else { 0. }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(inside: impl Fn(usize, usize) -> bool) -> Vec<bool> {
        (0..WIDTH * HEIGHT).map(|i| inside(i % WIDTH, i / WIDTH)).collect()
    }

    #[test]
    fn shares_are_means_over_cells() {
        // The square is rows 20 to 197; its upper half is 89 rows.
        let upper = region(|_, y| (20..109).contains(&y));
        assert_eq!(region_shares(&upper, Crop::Square, 2), [1., 1., 0., 0.]);
        assert_eq!(region_shares(&upper, Crop::Square, 1), [0.5]);
        // Of the 218 rows, rows 0 to 108 are the upper half: 89 of 109 are inside.
        assert_eq!(region_shares(&upper, Crop::Whole, 2), [89. / 109., 89. / 109., 0., 0.]);
        // One pixel of the 89×89 in the lower right cell.
        let pixel = region(|x, y| (x, y) == (177, 197));
        assert_eq!(region_shares(&pixel, Crop::Square, 2), [0., 0., 0., 1. / (89. * 89.)]);
        // The square does not reach row 198.
        let below = region(|_, y| y == 198);
        assert_eq!(region_shares(&below, Crop::Square, 1), [0.]);
    }

    #[test]
    fn cells_without_pixels_have_share_0() {
        let everything = region(|_, _| true);
        let shares = region_shares(&everything, Crop::Square, 2 * WIDTH);
        assert_eq!(shares[..4], [1., 0., 1., 0.]);
        assert!(shares[2 * WIDTH..4 * WIDTH].iter().all(|&share| share == 0.));
    }
}
