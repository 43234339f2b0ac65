//! Shapley values by sampling permutations (Castro et al., 2009; Štrumbelj & Kononenko, 2010).

use candle_core::Tensor;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Result, check};
use crate::segments::Segmented;
use crate::target::Target;

/// Options of [`shapley_sampling`].
#[derive(Debug, Clone, PartialEq)]
pub struct ShapleySampling {
    /// Permutations of the segments for each input, from 1. Default 25, as in Captum.
    pub permutations: usize,
    /// Decides the permutations together with the input's position in the batch. Default 0.
    pub seed: u64,
}

impl Default for ShapleySampling {
    fn default() -> Self {
        Self { permutations: 25, seed: 0 }
    }
}

/// Estimated Shapley values of a batch.
#[derive(Debug, Clone)]
pub struct ShapleySamplingResult {
    /// The value of each entry's segment, of x's shape.
    pub attribution: Tensor,
    /// For each input the value of each segment. They add up to f(x) - f(baseline).
    pub values: Vec<Vec<f64>>,
    /// The standard error of each value over the permutations; NaN of one permutation.
    pub standard_errors: Vec<Vec<f64>>,
}

/// Shapley values of the segments by sampling (Castro et al., 2009; Štrumbelj & Kononenko, 2010):
/// in the order of a random permutation the segments of x are put into the baseline one after the
/// other, and a segment's value is the mean over the permutations of what f gains when it is put
/// in. `segments` as in [`lime`](crate::lime()), `baseline` as in
/// [`integrated_gradients`](crate::integrated_gradients()).
///
/// An input takes permutations × (segments - 1) evaluations and two more.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{ShapleySampling, Target, shapley_sampling};
///
/// // f(x) = x₀·x₁ + x₂, and each entry is a segment.
/// let model = |x: &Tensor| {
///     let column = |i| x.narrow(1, i, 1);
///     (column(0)? * column(1)?)? + column(2)?
/// };
/// let x = Tensor::new(&[[2f64, 3., 5.]], &Device::Cpu)?;
/// let segments = Tensor::new(&[0u32, 1, 2], &Device::Cpu)?;
/// let options = ShapleySampling::default();
/// let found = shapley_sampling(&Target::new(model, 0), &x, &segments, None, &options)?;
/// // x₂ adds 5 in every order. x₀ and x₁ share 6, which the later one of them adds.
/// let values = &found.values[0];
/// assert_eq!(values[2], 5.);
/// assert!((values[0] + values[1] - 6.).abs() < 1e-12);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If an option is outside its range, segments or baseline do not fit x, a number between 0 and the
/// greatest is of no segment, or the model fails.
pub fn shapley_sampling<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    segments: &Tensor,
    baseline: Option<&Tensor>,
    options: &ShapleySampling,
) -> Result<ShapleySamplingResult> {
    let segmented = Segmented::new(x, segments, baseline)?;
    means(target, &segmented, |input| permutations(options, segmented.count, input))
}

/// The permutations of input number `input`.
fn permutations(options: &ShapleySampling, count: usize, input: usize) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    rng.set_stream(input as u64);
    (0..options.permutations)
        .map(|_| {
            let mut order: Vec<usize> = (0..count).collect();
            order.shuffle(&mut rng);
            order
        })
        .collect()
}

/// [`shapley_sampling`] with given permutations for the number of an input, each the numbers of all
/// segments in the order in which they are put in.
///
/// # Errors
/// As for [`shapley_sampling`], and if a permutation is none of all segments.
pub fn shapley_sampling_with_permutations<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    segments: &Tensor,
    baseline: Option<&Tensor>,
    permutations: impl Fn(usize) -> Vec<Vec<usize>>,
) -> Result<ShapleySamplingResult> {
    means(target, &Segmented::new(x, segments, baseline)?, permutations)
}

fn means<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    segmented: &Segmented,
    permutations: impl Fn(usize) -> Vec<Vec<usize>>,
) -> Result<ShapleySamplingResult> {
    let mut values = vec![];
    let mut standard_errors = vec![];
    for (input, (whole, none)) in segmented.ends(target)?.into_iter().enumerate() {
        let orders = permutations(input);
        check_permutations(&orders, segmented.count)?;
        let between = segmented.count - 1;
        let steps = orders.iter().flat_map(|order| (1..=between).map(move |n| first(order, n)));
        let found = segmented.numbers(target, input, steps)?;
        let mut gains = vec![Gains::default(); segmented.count];
        for (number, order) in orders.iter().enumerate() {
            let found = &found[number * between..(number + 1) * between];
            let mut before = none;
            for (&segment, &after) in order.iter().zip(found.iter().chain([&whole])) {
                gains[segment].add(after - before);
                before = after;
            }
        }
        values.push(gains.iter().map(|gains| gains.mean).collect());
        standard_errors.push(gains.iter().map(Gains::standard_error).collect());
    }
    Ok(ShapleySamplingResult { attribution: segmented.spread(&values)?, values, standard_errors })
}

fn check_permutations(orders: &[Vec<usize>], count: usize) -> Result<()> {
    check(!orders.is_empty(), "permutations", orders.len(), "a number from 1")?;
    for order in orders {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        check(
            sorted.iter().copied().eq(0..count),
            "permutations",
            format!("{order:?}"),
            "the number of every segment once",
        )?;
    }
    Ok(())
}

/// Which segments are kept when the first n of an order are.
fn first(order: &[usize], n: usize) -> Vec<bool> {
    let mut kept = vec![false; order.len()];
    order[..n].iter().for_each(|&segment| kept[segment] = true);
    kept
}

/// What f gained by a segment, over the permutations (Welford's sums).
#[derive(Debug, Clone, Default)]
struct Gains {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Gains {
    fn add(&mut self, gain: f64) {
        self.n += 1.;
        let away = gain - self.mean;
        self.mean += away / self.n;
        self.squares += away * (gain - self.mean);
    }

    fn standard_error(&self) -> f64 {
        if self.n < 2. { f64::NAN } else { (self.squares / (self.n - 1.) / self.n).sqrt() }
    }
}
