//! LIME (Ribeiro, Singh & Guestrin, 2016): a linear model around one input.

use candle_core::{DType, Tensor};
use foresee_stats::{Fit, Penalty, fit};
use nalgebra::DMatrix;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::baseline::baseline_like;
use crate::error::{Error, Result, check};
use crate::segments::{keep_segments, segment_of_entries};
use crate::target::Target;
use crate::tensors::to_f64;

/// How far a perturbed sample is from the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// 1 - cos between the vector of segments that are kept and that of all (Ribeiro et al.'s code
    /// for images).
    CosineOfSegments,
    /// 1 - cos between the inputs (Captum).
    CosineOfInputs,
    /// ‖x - x'‖ between the inputs (Captum's option).
    EuclideanOfInputs,
}

/// Options of [`lime`].
#[derive(Debug, Clone, PartialEq)]
pub struct Lime {
    /// Perturbed samples of each input, from 2. Default 1000.
    pub samples: usize,
    /// Default ridge with α = 1, as in Ribeiro et al.'s code.
    pub penalty: Penalty,
    /// Default [`Distance::CosineOfSegments`].
    pub distance: Distance,
    /// Width ω of the kernel exp(-d²/(2ω²)) that weights the samples, above 0. Default 0.25.
    pub width: f64,
    /// Decides the perturbations together with the input's position in the batch. Default 0.
    pub seed: u64,
}

impl Default for Lime {
    fn default() -> Self {
        Self {
            samples: 1000,
            penalty: Penalty::Ridge { alpha: 1. },
            distance: Distance::CosineOfSegments,
            width: 0.25,
            seed: 0,
        }
    }
}

/// LIME of a batch.
#[derive(Debug, Clone)]
pub struct LimeResult {
    /// The weight of each entry's segment, of x's shape.
    pub attribution: Tensor,
    /// The local model of each input, a weight for each segment; its `r2` is how well it fits.
    pub fits: Vec<Fit>,
}

/// LIME with segments that are kept or replaced by the baseline with even chances. `segments`
/// numbers the segments from 0: of one input's shape, or [H, W] for all channels of images
/// ([`grid_segments`](crate::grid_segments)). `baseline` as in
/// [`integrated_gradients`](crate::integrated_gradients()).
///
/// ```
/// use candle_core::{Device, Tensor};
/// use foresee_attribution::{Lime, Penalty, Target, lime};
///
/// // f(x) = 3·x₀ - 2·x₁: without x₀ = 1 it falls by 3, and without x₁ = 5 by -10.
/// let weights = Tensor::new(&[[3f64], [-2.]], &Device::Cpu)?;
/// let target = Target::new(|x: &Tensor| x.matmul(&weights), 0);
/// let x = Tensor::new(&[[1f64, 5.]], &Device::Cpu)?;
/// // Each entry is a segment. Without a penalty the fit of this f is exact.
/// let segments = Tensor::new(&[0u32, 1], &Device::Cpu)?;
/// let options = Lime { samples: 50, penalty: Penalty::Ridge { alpha: 0. }, ..Lime::default() };
/// let found = lime(&target, &x, &segments, None, &options)?;
/// let weights = &found.fits[0].weights;
/// assert!((weights[0] - 3.).abs() < 1e-9 && (weights[1] + 10.).abs() < 1e-9);
/// # Ok::<(), foresee_attribution::Error>(())
/// ```
///
/// # Errors
/// If an option is outside its range, segments or baseline do not fit x, a number between 0 and the
/// greatest is of no segment, the regression has no solution, or the model fails.
pub fn lime<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    segments: &Tensor,
    baseline: Option<&Tensor>,
    options: &Lime,
) -> Result<LimeResult> {
    check(options.samples >= 2, "samples", options.samples, "a number from 2")?;
    let (_, count) = segment_of_entries(x, segments)?;
    let kept = |input: usize| perturbations(options.samples, count, options.seed, input);
    lime_with_perturbations(target, x, segments, baseline, kept, options)
}

/// Which segments each sample of input number `input` keeps.
fn perturbations(samples: usize, segments: usize, seed: u64, input: usize) -> Vec<Vec<bool>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(input as u64);
    (0..samples).map(|_| (0..segments).map(|_| rng.random()).collect()).collect()
}

/// [`lime`] with given perturbations: for the number of an input, which segments each of its
/// samples keeps. The options' samples and seed are not used.
///
/// # Errors
/// As for [`lime`], and if a sample has another number of segments.
pub fn lime_with_perturbations<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    segments: &Tensor,
    baseline: Option<&Tensor>,
    kept: impl Fn(usize) -> Vec<Vec<bool>>,
    options: &Lime,
) -> Result<LimeResult> {
    let width = options.width;
    check(width > 0. && width.is_finite(), "width", width, "a number above 0")?;
    let x = &x.detach().contiguous()?;
    let baseline = baseline_like(x, baseline)?;
    let (segments, count) = segment_of_entries(x, segments)?;
    let mut attribution = vec![];
    let mut fits = vec![];
    for input in 0..x.dim(0)? {
        let kept = kept(input);
        check(kept.len() >= 2, "samples", kept.len(), "a number from 2")?;
        check(
            kept.iter().all(|k| k.len() == count),
            "perturbations",
            input,
            "a value for each segment",
        )?;
        let neighbourhood = Neighbourhood {
            x: x.narrow(0, input, 1)?,
            baseline: baseline.narrow(0, input, 1)?,
            segments: &segments,
            options,
        };
        let (y, pi) = neighbourhood.evaluate(target, &kept)?;
        let greatest = pi.iter().copied().fold(0f64, f64::max);
        if greatest < LEAST_WEIGHT {
            return Err(Error::FarSamples { width, greatest });
        }
        let z = DMatrix::from_fn(kept.len(), count, |i, j| f64::from(u8::from(kept[i][j])));
        let fit = fit(&z, &y, &pi, options.penalty)?;
        attribution.extend(segments.iter().map(|&s| fit.weights[s as usize]));
        fits.push(fit);
    }
    Ok(LimeResult {
        attribution: Tensor::from_vec(attribution, x.shape(), x.device())?.to_dtype(x.dtype())?,
        fits,
    })
}

/// The weight that the nearest sample has at least: with less, the penalty is all that is fitted.
const LEAST_WEIGHT: f64 = 1e-6;

/// One input, and how samples around it are made.
struct Neighbourhood<'a> {
    x: Tensor,
    baseline: Tensor,
    segments: &'a [u32],
    options: &'a Lime,
}

impl Neighbourhood<'_> {
    /// f of each sample, and its weight.
    fn evaluate<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
        &self,
        target: &Target<F>,
        kept: &[Vec<bool>],
    ) -> Result<(Vec<f64>, Vec<f64>)> {
        let width = self.options.width;
        let mut y = vec![];
        let mut pi = vec![];
        for kept in kept.chunks(target.batch_size()) {
            let samples = self.samples(kept)?;
            y.extend(target.numbers(&samples)?);
            pi.extend(
                self.distances(kept, &samples)?
                    .into_iter()
                    .map(|d| (-d * d / (2. * width * width)).exp()),
            );
        }
        Ok((y, pi))
    }

    /// The input with the segments that are kept, the baseline elsewhere.
    fn samples(&self, kept: &[Vec<bool>]) -> Result<Tensor> {
        keep_segments(&self.x, &self.baseline, self.segments, kept)
    }

    fn distances(&self, kept: &[Vec<bool>], samples: &Tensor) -> Result<Vec<f64>> {
        let x = self.x.flatten_from(1)?.to_dtype(DType::F64)?;
        let samples = samples.flatten_from(1)?.to_dtype(DType::F64)?;
        Ok(match self.options.distance {
            // Of a vector of n ones and zeros with m ones and the vector of n ones the cosine is
            // √(m/n).
            Distance::CosineOfSegments => kept
                .iter()
                .map(|kept| {
                    1. - (kept.iter().filter(|k| **k).count() as f64 / kept.len() as f64).sqrt()
                })
                .collect(),
            Distance::CosineOfInputs => {
                let dot = to_f64(&samples.broadcast_mul(&x)?.sum(1)?)?;
                let norms = to_f64(&samples.sqr()?.sum(1)?.sqrt()?)?;
                let norm = to_f64(&x.sqr()?.sum(1)?.sqrt()?)?[0];
                // Against a vector of zeros the cosine is taken as 0, as PyTorch does.
                dot.iter().zip(norms).map(|(dot, n)| 1. - dot / (n * norm).max(1e-8)).collect()
            }
            Distance::EuclideanOfInputs => {
                to_f64(&samples.broadcast_sub(&x)?.sqr()?.sum(1)?.sqrt()?)?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bernoulli(1/2) in every segment and pair of segments: each count is within five standard
    /// deviations of its mean.
    #[test]
    fn perturbations_keep_segments_with_even_chances() {
        let (samples, segments) = (4000, 6);
        let kept = perturbations(samples, segments, 3, 1);
        let five = |p: f64| 5. * (samples as f64 * p * (1. - p)).sqrt();
        for i in 0..segments {
            let alone = kept.iter().filter(|k| k[i]).count() as f64;
            assert!((alone - samples as f64 / 2.).abs() < five(0.5));
            for j in 0..i {
                let both = kept.iter().filter(|k| k[i] && k[j]).count() as f64;
                assert!((both - samples as f64 / 4.).abs() < five(0.25));
            }
        }
        assert_ne!(kept, perturbations(samples, segments, 4, 1));
        assert_ne!(kept, perturbations(samples, segments, 3, 2));
    }
}
