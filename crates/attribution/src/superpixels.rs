//! Superpixels: segments that follow the edges of an image.

mod colour;
mod connect;

use candle_core::{Device, Tensor};

use foresee_stats::range;

use crate::error::{Error, Result, check};
use crate::tensors::{check_finite, check_float, to_f64};

/// Options of [`slic`].
#[derive(Debug, Clone, PartialEq)]
pub struct Slic {
    /// About how many superpixels, from 1. Default 50.
    pub segments: usize,
    /// How much the distance between pixels counts beside that between colours, above 0. The
    /// default 10 suits colours in CIELAB; take about 0.1 for other numbers of channels.
    pub compactness: f64,
    /// Rounds of k-means, from 1. Default 10.
    pub iterations: usize,
}

impl Default for Slic {
    fn default() -> Self {
        Self { segments: 50, compactness: 10., iterations: 10 }
    }
}

/// The superpixels of one image [C, H, W] as a segment map [H, W] for [`lime`](crate::lime()) and
/// the other methods of segments, by SLIC (Achanta et al., 2012): k-means of pixels by d² =
/// d_colour²/m² + d_place²/S², m the compactness and S the distance of the first centres, which
/// form a grid. Colours are CIELAB for C = 3, and else the channels, after the image's values were
/// put between 0 and 1. At last every superpixel is made connected: parts below half of the
/// expected size join a neighbour, and parts above three times of it are divided.
///
/// The same image gives the same superpixels: nothing is random. They are those of
/// scikit-image 0.26, `slic(..., start_label=0)`, which departs from the paper in that a centre
/// looks at pixels up to 2·S away in place of S, and in that first centres stay where they are in
/// place of moving to the lowest gradient nearby. Where distances are equal but for rounding,
/// single pixels may differ.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Slic, slic};
///
/// // Black and white, with the edge at column 5 of 8.
/// let pixels = (0..64).map(|i| if i % 8 < 5 { 0f64 } else { 1. });
/// let image = Tensor::from_iter(pixels, &Device::Cpu)?;
/// let options = Slic { segments: 4, compactness: 0.01, ..Slic::default() };
/// let found = slic(&image.reshape((1, 8, 8))?, &options)?.to_vec2::<u32>()?;
/// let is_split = |row: &Vec<u32>| row[..5].iter().all(|s| *s == row[0]) && row[4] != row[5];
/// assert!(found.iter().all(is_split));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If an option is outside its range, or the image is not [C, H, W] with at least one finite
/// number.
pub fn slic(image: &Tensor, options: &Slic) -> Result<Tensor> {
    check(options.segments >= 1, "segments", options.segments, "a number from 1")?;
    check(options.iterations >= 1, "iterations", options.iterations, "a number from 1")?;
    let compactness = options.compactness;
    let is_number = compactness > 0. && compactness.is_finite();
    check(is_number, "compactness", compactness, "a number above 0")?;
    check_float("the image", image)?;
    let (c, h, w) = match *image.dims() {
        [c, h, w] if c * h * w > 0 => (c, h, w),
        _ => return Err(Error::shape("the image", image.dims(), "[C, H, W]")),
    };
    let image = check_finite(image.detach(), || "the image".into())?;
    let mut pixels = scaled(&to_f64(&image.permute((1, 2, 0))?)?);
    if c == 3 {
        pixels.chunks_exact_mut(3).for_each(colour::to_lab);
    }
    pixels.iter_mut().for_each(|value| *value *= 1. / compactness);
    let plane = Plane { pixels, channels: c, h, w };
    let mut centres = Centres::new(&plane, options.segments);
    let mut nearest = vec![0u32; h * w];
    for _ in 0..options.iterations {
        centres.assign(&plane, &mut nearest);
        centres.move_to_means(&plane, &nearest);
    }
    let expected = (h * w) as f64 / centres.all.len() as f64;
    let sizes = connect::Sizes { least: (0.5 * expected) as usize, most: (3. * expected) as usize };
    let connected = connect::connect(&nearest, h, w, &sizes);
    Ok(Tensor::from_vec(connected, (h, w), &Device::Cpu)?)
}

/// Between 0 and 1 over all channels; 0 if all values are equal.
fn scaled(values: &[f64]) -> Vec<f64> {
    let (low, high) = range(values);
    let width = if high > low { high - low } else { 1. };
    values.iter().map(|value| (value - low) / width).collect()
}

/// An image, its channels side by side.
struct Plane {
    pixels: Vec<f64>,
    channels: usize,
    h: usize,
    w: usize,
}

impl Plane {
    fn colour(&self, pixel: usize) -> &[f64] {
        &self.pixels[pixel * self.channels..(pixel + 1) * self.channels]
    }
}

#[derive(Clone)]
struct Centre {
    y: f64,
    x: f64,
    colour: Vec<f64>,
}

struct Centres {
    /// `None` of a centre that no pixel is nearest to.
    all: Vec<Option<Centre>>,
    /// S, their distance at first.
    step: f64,
}

impl Centres {
    /// On a grid, without a colour yet: at first only places count.
    fn new(plane: &Plane, segments: usize) -> Self {
        let (down, across) = grid(plane.h, plane.w, segments);
        let mut all = vec![];
        for y in (down.start..plane.h).step_by(down.step) {
            for x in (across.start..plane.w).step_by(across.step) {
                let colour = vec![0.; plane.channels];
                all.push(Some(Centre { y: y as f64, x: x as f64, colour }));
            }
        }
        Self { all, step: down.step.max(across.step) as f64 }
    }

    /// The number of the nearest centre of each pixel, of those that look at it. A pixel that none
    /// looks at keeps its centre.
    fn assign(&self, plane: &Plane, nearest: &mut [u32]) {
        let mut distances = vec![f64::MAX; nearest.len()];
        let of_place = 1. / (self.step * self.step);
        let reach = |at: f64, size: usize| {
            let (low, high) = (at - 2. * self.step, at + 2. * self.step + 1.);
            low.max(0.) as usize..high.min(size as f64) as usize
        };
        for (number, centre) in self.all.iter().enumerate() {
            let Some(centre) = centre else { continue };
            for y in reach(centre.y, plane.h) {
                let down = (centre.y - y as f64).powi(2);
                for x in reach(centre.x, plane.w) {
                    let pixel = y * plane.w + x;
                    let place = (down + (centre.x - x as f64).powi(2)) * of_place;
                    let pairs = plane.colour(pixel).iter().zip(&centre.colour);
                    let colour: f64 = pairs.map(|(a, b)| (a - b).powi(2)).sum();
                    if place + colour < distances[pixel] {
                        distances[pixel] = place + colour;
                        nearest[pixel] = number as u32;
                    }
                }
            }
        }
    }

    /// Each centre becomes the mean of its pixels.
    fn move_to_means(&mut self, plane: &Plane, nearest: &[u32]) {
        let zero = Centre { y: 0., x: 0., colour: vec![0.; plane.channels] };
        let mut sums = vec![(zero, 0f64); self.all.len()];
        for (pixel, &centre) in nearest.iter().enumerate() {
            let (sum, count) = &mut sums[centre as usize];
            *count += 1.;
            sum.y += (pixel / plane.w) as f64;
            sum.x += (pixel % plane.w) as f64;
            sum.colour.iter_mut().zip(plane.colour(pixel)).for_each(|(sum, value)| *sum += value);
        }
        let mean = |(mut sum, count): (Centre, f64)| {
            sum.y /= count;
            sum.x /= count;
            sum.colour.iter_mut().for_each(|value| *value /= count);
            (count > 0.).then_some(sum)
        };
        self.all = sums.into_iter().map(mean).collect();
    }
}

/// Where the first centres are along one side.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Places {
    start: usize,
    step: usize,
}

/// The first centres along height and width: about `segments` of them, in squares unless the image
/// is narrower than these.
fn grid(h: usize, w: usize, segments: usize) -> (Places, Places) {
    let pixels = (h * w) as f64;
    if pixels <= segments as f64 {
        let every = Places { start: 0, step: 1 };
        return (every, every);
    }
    let (short, long) = (h.min(w) as f64, h.max(w) as f64);
    let side = (pixels / segments as f64).sqrt();
    let of = |size: f64| Places {
        start: (size / 2.).floor() as usize,
        step: (size.round_ties_even() as usize).max(1),
    };
    let (short, long) = match short < side {
        true => (of(short), of(long / segments as f64)),
        false => (of(side), of(side)),
    };
    if h <= w { (short, long) } else { (long, short) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As scikit-image's `regular_grid`.
    #[test]
    fn first_centres_form_a_grid() {
        let places = |start, step| Places { start, step };
        // √(20·40/8) = 10; √(10·12/7) = 4.14.
        assert_eq!(grid(20, 40, 8), (places(5, 10), places(5, 10)));
        assert_eq!(grid(10, 12, 7), (places(2, 4), places(2, 4)));
        // Squares of 5 pixels do not fit into a height of 4: 25 columns in 4 steps, rounded.
        assert_eq!(grid(4, 25, 4), (places(2, 4), places(3, 6)));
        assert_eq!(grid(25, 4, 4), (places(3, 6), places(2, 4)));
        assert_eq!(grid(2, 2, 4), (places(0, 1), places(0, 1)));
    }
}
