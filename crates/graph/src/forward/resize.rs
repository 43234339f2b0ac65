//! Resizing, one axis after another.

use candle_core::{DType, Device, Tensor};

use super::arguments::{check_float, check_size, impossible, integers, size_of};
use super::elementwise::Real;
use super::{Forward, Inputs};
use crate::error::OpError;
use crate::op::{Coordinates, Nearest, Resize, ResizeMode};

/// The weights of one axis are no more.
const MAX_WEIGHTS: usize = 1 << 26;

/// An axis that is resized.
struct Axis {
    old: usize,
    new: usize,
    /// New pixels for each old one.
    scale: f64,
    coordinates: Coordinates,
}

/// x at another size, of any of its dimensions: ⌊old size · scale⌋, or as given. Places outside of
/// x are moved to its edge.
pub(super) fn resize(inputs: &Inputs, settings: &Resize) -> Forward<Tensor> {
    let mut x = inputs.need(0)?.clone();
    let axes = axes(inputs, &x, settings.coordinates)?;
    check_size(&axes.iter().map(|axis| axis.new).collect::<Vec<_>>())?;
    // The last axis first: the copies of those before it are longer blocks.
    for (i, axis) in axes.iter().enumerate().rev() {
        if axis.old == axis.new && axis.scale == 1. {
            continue;
        }
        if axis.old == 0 {
            return Err(impossible("a dimension", 0, "pixels are made of others"));
        }
        x = match settings.mode {
            ResizeMode::Nearest => pick(&x, i, axis.nearest(settings.nearest))?,
            ResizeMode::Linear => interpolate(&x, i, axis, &Kernel::LINEAR)?,
            ResizeMode::Cubic { slope, exclude_outside } => {
                interpolate(&x, i, axis, &Kernel { slope: Some(slope), exclude_outside })?
            }
        };
    }
    Ok(x)
}

fn axes(inputs: &Inputs, x: &Tensor, coordinates: Coordinates) -> Forward<Vec<Axis>> {
    let given = |place: usize| inputs.get(place).filter(|input| input.elem_count() > 0);
    let count = |numbers: usize| match numbers == x.rank() {
        true => Ok(()),
        false => {
            let expected = format!("the input has {} dimensions", x.rank());
            Err(impossible("the number of scales or sizes", numbers, expected))
        }
    };
    match (given(2), given(3)) {
        (Some(scales), None) => {
            check_float("the scales", scales)?;
            count(scales.elem_count())?;
            let scales = scales.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
            let axis = |(&old, scale)| Axis::of_scale(old, scale, coordinates);
            x.dims().iter().zip(scales).map(axis).collect()
        }
        (None, Some(sizes)) => {
            let sizes = integers("the sizes", sizes)?;
            count(sizes.len())?;
            let axis = |(&old, size)| Axis::of_size(old, size, coordinates);
            x.dims().iter().zip(sizes).map(axis).collect()
        }
        (Some(_), Some(_)) => Err(impossible("scales and sizes", "both", "one of them is needed")),
        (None, None) => Err(impossible("scales and sizes", "none", "one of them is needed")),
    }
}

impl Axis {
    /// The product is one of `f32`, as in ONNX Runtime: 10 · 0.7 is 7.
    fn of_scale(old: usize, scale: f32, coordinates: Coordinates) -> Forward<Self> {
        if !(scale > 0. && scale.is_finite()) {
            return Err(impossible("a scale", scale, "it is above 0"));
        }
        let new = (old as f32 * scale).floor() as usize;
        Ok(Self { old, new, scale: f64::from(scale), coordinates })
    }

    fn of_size(old: usize, new: i64, coordinates: Coordinates) -> Forward<Self> {
        let new = size_of("a size", new)?;
        let scale = new as f64 / old.max(1) as f64;
        Ok(Self { old, new, scale, coordinates })
    }

    /// Where a new pixel lies among the old ones, rounded to the type after each step.
    fn place<F: Real>(&self, p: usize) -> F {
        let of = |pixels: usize| F::of(pixels as f64);
        let (scale, half) = (F::of(self.scale), F::of(0.5));
        match self.coordinates {
            Coordinates::PytorchHalfPixel | Coordinates::AlignCorners if self.new == 1 => of(0),
            Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => (of(p) + half) / scale - half,
            Coordinates::HalfPixelSymmetric => {
                // By how much the new image is smaller than its scale says.
                let share = of(self.new) / (scale * of(self.old));
                let start = half * of(self.old) * (of(1) - share);
                start + (of(p) + half) / scale - half
            }
            Coordinates::Asymmetric => of(p) / scale,
            Coordinates::AlignCorners => of(p) * of(self.old - 1) / of(self.new - 1),
        }
    }

    /// The old pixel that is nearest to each new one. Computed as `f32`, as ONNX Runtime does: with
    /// a scale of 1.6, the place of pixel 8 is 5, and not a little below.
    fn nearest(&self, nearest: Nearest) -> Vec<u32> {
        let old = |p: usize| {
            let place: f32 = self.place(p);
            let pixel = match nearest {
                Nearest::RoundPreferFloor => (place - 0.5).ceil(),
                Nearest::RoundPreferCeil => (place + 0.5).floor(),
                Nearest::Floor => place.floor(),
                Nearest::Ceil => place.ceil(),
            };
            (pixel.max(0.) as usize).min(self.old - 1) as u32
        };
        (0..self.new).map(old).collect()
    }

    /// The weights of old pixels in new ones, [old, new].
    fn weights(&self, kernel: &Kernel) -> Forward<Vec<f64>> {
        let elements = self.old.saturating_mul(self.new);
        if elements > MAX_WEIGHTS {
            return Err(OpError::TooLarge { elements, limit: MAX_WEIGHTS });
        }
        let mut weights = vec![0.; elements];
        for p in 0..self.new {
            let taps = kernel.taps(self.place(p), self.old);
            taps.into_iter().for_each(|(old, weight)| weights[old * self.new + p] += weight);
        }
        Ok(weights)
    }
}

/// What an old pixel weighs, by its distance.
struct Kernel {
    /// The slope of the cubic curve; none of the linear one.
    slope: Option<f64>,
    exclude_outside: bool,
}

impl Kernel {
    const LINEAR: Self = Self { slope: None, exclude_outside: false };

    fn at(&self, distance: f64) -> f64 {
        let t = distance.abs();
        match self.slope {
            None => (1. - t).max(0.),
            Some(a) if t <= 1. => ((a + 2.) * t - (a + 3.)) * t * t + 1.,
            Some(a) if t < 2. => ((a * t - 5. * a) * t + 8. * a) * t - 4. * a,
            Some(_) => 0.,
        }
    }

    /// The old pixels that make a new one at a place, with their weights, which add up to 1.
    fn taps(&self, place: f64, old: usize) -> Vec<(usize, f64)> {
        let last = (old - 1) as f64;
        // Further away all are the edge.
        let place = place.clamp(-2., last + 2.);
        let reach = if self.slope.is_some() { 2. } else { 1. };
        let count = (2. * reach) as usize;
        let first = (place - reach).floor() + 1.;
        let all = (0..count).map(|i| first + i as f64).map(|pixel| (pixel, self.at(pixel - place)));
        let is_inside = |pixel: f64| (0. ..=last).contains(&pixel);
        let some = all.filter(|(pixel, _)| !self.exclude_outside || is_inside(*pixel));
        let taps: Vec<(usize, f64)> =
            some.map(|(pixel, weight)| (pixel.clamp(0., last) as usize, weight)).collect();
        let sum: f64 = taps.iter().map(|tap| tap.1).sum();
        match self.exclude_outside && sum != 0. {
            true => taps.into_iter().map(|(pixel, weight)| (pixel, weight / sum)).collect(),
            false => taps,
        }
    }
}

/// x's dimensions with another size of one axis: there can be more elements than the whole result
/// has.
fn resized(x: &Tensor, axis: usize, new: usize) -> Forward<Vec<usize>> {
    let mut sizes = x.dims().to_vec();
    sizes[axis] = new;
    check_size(&sizes)?;
    Ok(sizes)
}

/// The old pixels of these indices along an axis.
fn pick(x: &Tensor, axis: usize, indices: Vec<u32>) -> Forward<Tensor> {
    let (old, new) = (x.dims()[axis], indices.len());
    let times = new / old;
    let repeats = |(p, &i): (usize, &u32)| p / times == i as usize;
    let is_repeated = new == old * times && indices.iter().enumerate().all(repeats);
    if !is_repeated || axis + 1 < x.rank() {
        return super::index::select(x, axis, indices);
    }
    // Pixels of the last axis lie side by side: a sum of neighbours is the gradient.
    let sizes = resized(x, axis, new)?;
    let pixels = x.reshape((x.elem_count(), 1))?;
    Ok(pixels.broadcast_as((x.elem_count(), times))?.reshape(sizes)?)
}

/// A weighted sum of old pixels along an axis, as a matrix product: its gradient is one. A value
/// that is not finite makes the others along the axis NaN.
fn interpolate(x: &Tensor, axis: usize, of: &Axis, kernel: &Kernel) -> Forward<Tensor> {
    check_float("the input", x)?;
    let mut sizes = resized(x, axis, of.new)?;
    if x.elem_count() == 0 || of.new == 0 {
        return Ok(Tensor::zeros(sizes, x.dtype(), x.device())?);
    }
    let weights = Tensor::from_vec(of.weights(kernel)?, (of.old, of.new), &Device::Cpu)?
        .to_dtype(x.dtype())?
        .to_device(x.device())?;
    let last = x.rank() - 1;
    sizes.swap(axis, last);
    let rows = x.transpose(axis, last)?.reshape((x.elem_count() / of.old, of.old))?;
    Ok(rows.matmul(&weights)?.reshape(sizes)?.transpose(axis, last)?)
}
