//! Occlusion (Zeiler & Fergus, 2014): what covering a window of the input takes from the output.

use candle_core::Tensor;

use crate::baseline::baseline_like;
use crate::error::{Error, Result, check};
use crate::segments::keep_entries;
use crate::target::Target;
use crate::tensors::{check_finite, check_input};

/// Options of [`occlusion`].
#[derive(Debug, Clone, PartialEq)]
pub struct Occlusion {
    /// The window's size in each dimension of one input, from 1 to the input's size: [C, h, w] for
    /// images [B, C, H, W].
    pub window: Vec<usize>,
    /// By how much the window moves in each dimension, from 1 to the window's size, so that it
    /// leaves no entry out. Any number where the window has the input's size.
    pub strides: Vec<usize>,
}

/// Occlusion (Zeiler & Fergus, 2014), of x's shape: for each entry the mean of f(x) - f(x with a
/// window replaced by the baseline) over the windows that cover the entry. `baseline` as in
/// [`integrated_gradients`](crate::integrated_gradients()).
///
/// Windows start at the multiples of the strides; the last ones end at the border of the input,
/// even where they are smaller there, as in Captum's `Occlusion`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Occlusion, Target, occlusion};
///
/// // f(x) = x₀·x₁ + x₂. The windows are (x₀, x₁) and (x₁, x₂).
/// let model = |x: &Tensor| {
///     let column = |i| x.narrow(1, i, 1);
///     (column(0)? * column(1)?)? + column(2)?
/// };
/// let x = Tensor::new(&[[2f64, 3., 5.]], &Device::Cpu)?;
/// let options = Occlusion { window: vec![2], strides: vec![1] };
/// let found = occlusion(&Target::new(model, 0), &x, None, &options)?;
/// // f falls by 6 without the first window, and by 6 + 5 without the second.
/// assert_eq!(found.to_vec2::<f64>()?, [[6., 8.5, 11.]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the options or the baseline do not fit x, or the model fails.
pub fn occlusion<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    baseline: Option<&Tensor>,
    options: &Occlusion,
) -> Result<Tensor> {
    check_input(x)?;
    let x = &x.detach().contiguous()?;
    let baseline = baseline_like(x, baseline)?;
    let windows = Windows::new(&x.dims()[1..], options)?;
    let mut attribution = Vec::with_capacity(x.elem_count());
    for (input, whole) in target.numbers(x)?.into_iter().enumerate() {
        let (one, covered) = (x.narrow(0, input, 1)?, baseline.narrow(0, input, 1)?);
        let mut mean = vec![Mean::default(); x.elem_count() / x.dim(0)?];
        for start in (0..windows.count).step_by(target.batch_size()) {
            let end = (start + target.batch_size()).min(windows.count);
            let inside: Vec<Vec<bool>> = (start..end).map(|at| windows.inside(at)).collect();
            let kept = inside.iter().flatten().map(|inside| u8::from(!inside)).collect();
            let copies = keep_entries(&one, &covered, end - start, kept)?;
            for (inside, value) in inside.iter().zip(target.numbers(&copies)?) {
                let entries = mean.iter_mut().zip(inside).filter(|(_, inside)| **inside);
                entries.for_each(|(mean, _)| mean.add(whole - value));
            }
        }
        attribution.extend(mean.iter().map(Mean::value));
    }
    let attribution = Tensor::from_vec(attribution, x.shape(), x.device())?.to_dtype(x.dtype())?;
    check_finite(attribution, || "the attribution".into())
}

#[derive(Debug, Clone, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.;
    }

    fn value(&self) -> f64 {
        self.sum / self.count
    }
}

/// The places of a window.
struct Windows<'a> {
    input: &'a [usize],
    options: &'a Occlusion,
    count: usize,
}

impl<'a> Windows<'a> {
    fn new(input: &'a [usize], options: &'a Occlusion) -> Result<Self> {
        for (what, given) in [("the window", &options.window), ("the strides", &options.strides)] {
            if given.len() != input.len() {
                let expected = format!("a number for each dimension of {input:?}");
                return Err(Error::shape(what, given, expected));
            }
        }
        for ((&size, &window), &stride) in input.iter().zip(&options.window).zip(&options.strides) {
            check((1..=size).contains(&window), "window", window, "from 1 to the input's size")?;
            check(
                stride >= 1 && (stride <= window || window == size),
                "strides",
                stride,
                "from 1 to the window's size, so that no entry is left out",
            )?;
        }
        let mut windows = Self { input, options, count: 1 };
        windows.count = (0..input.len()).map(|dim| windows.along(dim)).product();
        Ok(windows)
    }

    /// The number of places along a dimension.
    fn along(&self, dim: usize) -> usize {
        let rest = self.input[dim] - self.options.window[dim];
        rest.div_ceil(self.options.strides[dim]) + 1
    }

    /// For each entry of one input, whether window number `number` covers it.
    fn inside(&self, number: usize) -> Vec<bool> {
        let mut rest = number;
        let mut inside = vec![true];
        for (dim, &size) in self.input.iter().enumerate() {
            let start = rest % self.along(dim) * self.options.strides[dim];
            let end = start + self.options.window[dim];
            rest /= self.along(dim);
            inside = inside
                .into_iter()
                .flat_map(|so_far| (0..size).map(move |at| so_far && (start..end).contains(&at)))
                .collect();
        }
        inside
    }
}
