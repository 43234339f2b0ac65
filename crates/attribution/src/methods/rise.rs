//! RISE (Petsiuk, Das & Saenko, 2018): the mean of random masks, weighted by what the model makes
//! of the masked input.

use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::baseline::baseline_like;
use crate::error::{Error, Result, check};
use crate::target::Target;
use crate::tensors::{check_finite, check_input, check_like, to_f64};

/// Options of [`rise`].
#[derive(Debug, Clone, PartialEq)]
pub struct Rise {
    /// Random masks, the same for every input; from 1. Default 4000, as in the paper for VGG-16.
    pub masks: usize,
    /// A mask is a grid of so many rows and columns of cells that are kept or not, enlarged; from
    /// 1. Default 7.
    pub cells: usize,
    /// The chance p of a cell to be kept, above 0 and up to 1. Default 0.5.
    pub keep: f64,
    /// Whether the mean of f over the masks is taken from f first. The paper explains
    /// probabilities and does not; of logits, and of few masks, the mean times the masks' uneven
    /// cover is most of the map. Default false, as in the paper.
    pub centred: bool,
    /// Decides the masks together with their numbers. Default 0.
    pub seed: u64,
}

impl Default for Rise {
    fn default() -> Self {
        Self { masks: 4000, cells: 7, keep: 0.5, centred: false, seed: 0 }
    }
}

/// RISE of images x [B, C, H, W], a map [B, H, W] (Petsiuk et al., 2018): S = 1/(N·p) · Σ_i
/// f(M_i ⊙ x + (1 - M_i) ⊙ baseline) · M_i over N random masks M_i with values in [0, 1].
/// `baseline` as in [`integrated_gradients`](crate::integrated_gradients()); without one, the
/// paper's M_i ⊙ x.
///
/// A mask is made as in the paper: a grid of zeros and ones, enlarged bilinearly by a little more
/// than the image, of which a part of the image's size is taken at a random place. At the border
/// of the grid the outermost cells go on.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use foresee_attribution::{Rise, Target, rise};
///
/// // f is the pixel in the upper left corner of 4×4.
/// let model = |x: &Tensor| x.narrow(2, 0, 1)?.narrow(3, 0, 1)?.flatten_from(1);
/// let x = Tensor::ones((1, 1, 4, 4), DType::F64, &Device::Cpu)?;
/// let options = Rise { masks: 200, cells: 2, ..Rise::default() };
/// let map = rise(&Target::new(model, 0), &x, None, &options)?.to_vec3::<f64>()?;
/// // It counts more than the pixel in the opposite corner.
/// assert!(map[0][0][0] > map[0][3][3]);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If an option is outside its range, x are no images, the baseline does not fit, or the model
/// fails.
pub fn rise<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    baseline: Option<&Tensor>,
    options: &Rise,
) -> Result<Tensor> {
    check(options.masks >= 1, "masks", options.masks, "a number from 1")?;
    check(options.cells >= 1, "cells", options.cells, "a number from 1")?;
    let (_, h, w) = image_size(x)?;
    let mask = |number: usize| -> Result<Tensor> {
        let values = random_mask(options, h, w, number);
        Ok(Tensor::from_vec(values, (h, w), x.device())?.to_dtype(x.dtype())?)
    };
    let masks = (0..options.masks).map(mask);
    rise_with_masks(target, x, baseline, masks, options.keep, options.centred)
}

/// [`rise`] with given masks [H, W] of x's type, whose values have the mean `keep`; `centred` as in
/// [`Rise`].
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Result, Target, rise_with_masks};
///
/// // f is the sum of two pixels. The masks show one of them each.
/// let target = Target::new(|x: &Tensor| x.sum((2, 3)), 0);
/// let x = Tensor::new(&[[[[3f64, 1.]]]], &Device::Cpu)?;
/// let mask = |pixels: [f64; 2]| -> Result<Tensor> { Ok(Tensor::new(&[pixels], &Device::Cpu)?) };
/// let masks = [mask([1., 0.]), mask([0., 1.])];
/// let map = rise_with_masks(&target, &x, None, masks, 0.5, false)?;
/// // 1/(2·0.5) · (3·(1, 0) + 1·(0, 1)).
/// assert_eq!(map.to_vec3::<f64>()?, [[[3., 1.]]]);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// As for [`rise`], and if there is no mask or one does not fit x.
pub fn rise_with_masks<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    baseline: Option<&Tensor>,
    masks: impl IntoIterator<Item = Result<Tensor>>,
    keep: f64,
    centred: bool,
) -> Result<Tensor> {
    check(keep > 0. && keep <= 1., "keep", keep, "a number above 0 and up to 1")?;
    let (b, h, w) = image_size(x)?;
    let x = &x.detach().contiguous()?;
    let baseline = baseline_like(x, baseline)?;
    let difference = (x - &baseline)?;
    let mut sums = Sums::new(b, h * w);
    let mut masks = masks.into_iter();
    let at_once = (target.batch_size() / b).max(1);
    loop {
        let some: Vec<Tensor> = masks.by_ref().take(at_once).collect::<Result<_>>()?;
        if some.is_empty() {
            break;
        }
        for mask in &some {
            check_mask(mask, x, h, w)?;
        }
        let stacked = Tensor::stack(&some, 0)?.reshape((some.len(), 1, 1, h, w))?;
        let kept = difference.unsqueeze(0)?.broadcast_mul(&stacked)?;
        let copies = kept.broadcast_add(&baseline.unsqueeze(0)?)?.flatten(0, 1)?;
        let values = target.numbers(&copies)?;
        for (mask, values) in some.iter().zip(values.chunks(b)) {
            sums.add(&to_f64(mask)?, values);
        }
    }
    check(sums.count > 0., "masks", 0, "a number from 1")?;
    let map = Tensor::from_vec(sums.map(keep, centred), (b, h, w), x.device())?;
    check_finite(map.to_dtype(x.dtype())?, || "the attribution".into())
}

/// The number of images, their height and width.
fn image_size(x: &Tensor) -> Result<(usize, usize, usize)> {
    check_input(x)?;
    match *x.dims() {
        [b, _, h, w] if h > 0 && w > 0 => Ok((b, h, w)),
        _ => Err(Error::shape("the images", x.dims(), "[B, C, H, W]")),
    }
}

fn check_mask(mask: &Tensor, x: &Tensor, h: usize, w: usize) -> Result<()> {
    check_like("the mask", mask, x)?;
    match mask.dims() == [h, w] {
        true => Ok(()),
        false => Err(Error::shape("the mask", mask.dims(), format!("[{h}, {w}]"))),
    }
}

/// Sums over the masks.
struct Sums {
    /// Σ_i f_i·M_i of each input, pixel by pixel.
    weighted: Vec<Vec<f64>>,
    /// Σ_i f_i of each input.
    values: Vec<f64>,
    /// Σ_i M_i.
    masks: Vec<f64>,
    count: f64,
}

impl Sums {
    fn new(inputs: usize, pixels: usize) -> Self {
        let weighted = vec![vec![0.; pixels]; inputs];
        Self { weighted, values: vec![0.; inputs], masks: vec![0.; pixels], count: 0. }
    }

    fn add(&mut self, mask: &[f64], values: &[f64]) {
        for ((sums, sum), value) in self.weighted.iter_mut().zip(&mut self.values).zip(values) {
            *sum += value;
            sums.iter_mut().zip(mask).for_each(|(sum, m)| *sum += value * m);
        }
        self.masks.iter_mut().zip(mask).for_each(|(sum, m)| *sum += m);
        self.count += 1.;
    }

    /// All inputs' maps, one after the other.
    fn map(&self, keep: f64, centred: bool) -> Vec<f64> {
        let of_input = |(sums, value): (&Vec<f64>, &f64)| {
            let mean = if centred { value / self.count } else { 0. };
            let pixel = |(sum, mask): (&f64, &f64)| (sum - mean * mask) / (self.count * keep);
            sums.iter().zip(&self.masks).map(pixel).collect::<Vec<f64>>()
        };
        self.weighted.iter().zip(&self.values).flat_map(of_input).collect()
    }
}

/// Mask number `number`, row by row.
fn random_mask(options: &Rise, h: usize, w: usize, number: usize) -> Vec<f64> {
    let cells = options.cells;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    rng.set_stream(number as u64);
    let grid: Vec<f64> = (0..cells * cells)
        .map(|_| if rng.random::<f64>() < options.keep { 1. } else { 0. })
        .collect();
    let (rows, columns) = (h.div_ceil(cells), w.div_ceil(cells));
    let (top, left) = (rng.random_range(0..rows), rng.random_range(0..columns));
    let down: Vec<Between> = (0..h).map(|y| Between::new(top + y, cells, rows)).collect();
    let across: Vec<Between> = (0..w).map(|x| Between::new(left + x, cells, columns)).collect();
    let mut mask = Vec::with_capacity(h * w);
    for y in &down {
        for x in &across {
            let row = |row: usize| x.of(grid[row * cells + x.low], grid[row * cells + x.high]);
            mask.push(y.of(row(y.low), row(y.high)));
        }
    }
    mask
}

/// Two neighbours in a grid, and how far a place is from the first to the second.
struct Between {
    low: usize,
    high: usize,
    share: f64,
}

impl Between {
    /// Pixel `at` of a grid of `cells` that is enlarged to (cells + 1)·size pixels; pixels and
    /// cells stand for their middles.
    fn new(at: usize, cells: usize, size: usize) -> Self {
        let scale = cells as f64 / ((cells + 1) * size) as f64;
        let place = ((at as f64 + 0.5) * scale - 0.5).clamp(0., (cells - 1) as f64);
        let low = place as usize;
        Self { low, high: (low + 1).min(cells - 1), share: place - low as f64 }
    }

    fn of(&self, low: f64, high: f64) -> f64 {
        low + self.share * (high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As torch.nn.functional.interpolate([[[0., 1.]]], size=6, mode="linear"): pixels at
    /// (i + 1/2)/3 - 1/2 between the cells' middles.
    #[test]
    fn grids_are_enlarged_bilinearly() {
        let cells = [0., 1.];
        let at = |at: usize| {
            let between = Between::new(at, 2, 2);
            between.of(cells[between.low], cells[between.high])
        };
        let found: Vec<f64> = (0..6).map(at).collect();
        let expected = [0., 0., 1. / 3., 2. / 3., 1., 1.];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
    }

    /// The mean of all masks' pixels is p, within five standard deviations of the mean of as many
    /// grids.
    #[test]
    fn masks_keep_a_share() {
        let options = Rise { cells: 3, keep: 0.3, seed: 5, ..Rise::default() };
        let masks: Vec<Vec<f64>> = (0..500).map(|i| random_mask(&options, 7, 8, i)).collect();
        let all = masks.iter().flatten();
        assert!(all.clone().all(|m| (0. ..=1.).contains(m)));
        let mean = all.sum::<f64>() / (500. * 56.);
        let deviation = (0.3f64 * 0.7 / 500.).sqrt();
        assert!((mean - 0.3).abs() < 5. * deviation, "{mean}");
        assert_ne!(masks[0], masks[1]);
    }
}
