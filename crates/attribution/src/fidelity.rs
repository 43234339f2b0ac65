//! Infidelity and max-sensitivity (Yeh et al., 2019).

use candle_core::{DType, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result, check, shape};
use crate::smooth_grad::gaussian;
use crate::target::{Target, sums};

/// By what an attribution is multiplied before infidelity compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaling {
    /// By nothing, as the measure is defined.
    #[default]
    None,
    /// By the number that fits best, so that only the direction counts (Captum's `normalize`). It
    /// may be below 0: a map of the wrong sign is then as good as one of the right sign.
    Best,
    /// By the number from 0 that fits best: a map that has the wrong sign is worth no more than a
    /// map of zeros.
    BestFromZero,
}

impl Scaling {
    /// The factor for mean squares `aa` of what the attribution says and mean products `ab` with
    /// what is.
    fn factor(self, aa: f64, ab: f64) -> f64 {
        match self {
            Self::Best if aa > 0. => ab / aa,
            Self::BestFromZero if aa > 0. => (ab / aa).max(0.),
            _ => 1.,
        }
    }
}

/// Options of [`infidelity`].
#[derive(Debug, Clone, PartialEq)]
pub struct Infidelity {
    /// Perturbations of each input, from 1. Default 50.
    pub samples: usize,
    /// Standard deviation of the Gaussian perturbations in the input's units, above 0. Default 0.1.
    pub deviation: f64,
    /// By what the attribution is multiplied first. Default nothing.
    pub scaling: Scaling,
    /// Decides the perturbations together with the input's place in the batch. Default 0.
    pub seed: u64,
}

impl Default for Infidelity {
    fn default() -> Self {
        Self { samples: 50, deviation: 0.1, scaling: Scaling::None, seed: 0 }
    }
}

/// mean_I (Iᵀφ - (f(x) - f(x - I)))² for each input, for an attribution φ of x's shape and Gaussian
/// perturbations I.
///
/// # Errors
/// If an option is outside its range, the shapes differ, or the model fails.
pub fn infidelity<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    options: &Infidelity,
) -> Result<Vec<f64>> {
    check(options.samples >= 1, "samples", options.samples, "a number from 1")?;
    check(
        options.deviation > 0. && options.deviation.is_finite(),
        "deviation",
        options.deviation,
        "a number above 0",
    )?;
    let perturbations =
        (0..options.samples).map(|sample| gaussian(x, options.seed, sample, |_| options.deviation));
    infidelity_under(target, x, attribution, perturbations, options.scaling)
}

/// The same under given perturbations I of x's shape.
///
/// # Errors
/// If there is none, the shapes differ, or the model fails.
pub fn infidelity_under<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
    target: &Target<F>,
    x: &Tensor,
    attribution: &Tensor,
    perturbations: impl IntoIterator<Item = Result<Tensor>>,
    scaling: Scaling,
) -> Result<Vec<f64>> {
    let at_x = target.numbers(x)?;
    let changes = perturbations.into_iter().map(|perturbation| {
        let perturbation = perturbation?;
        let perturbed = target.numbers(&(x - &perturbation)?)?;
        Ok((perturbation, at_x.iter().zip(perturbed).map(|(x, perturbed)| x - perturbed).collect()))
    });
    infidelity_of_changes(attribution, changes, scaling)
}

/// The same where it is known already what each perturbation I takes from f, f(x) - f(x - I) for
/// each input: many attributions of the same inputs need the model once.
///
/// # Errors
/// If there is no perturbation or the shapes differ.
pub fn infidelity_of_changes(
    attribution: &Tensor,
    changes: impl IntoIterator<Item = Result<(Tensor, Vec<f64>)>>,
    scaling: Scaling,
) -> Result<Vec<f64>> {
    // Sums of a², ab and b² for a = Iᵀφ and b = f(x) - f(x - I).
    let mut moments = vec![[0f64; 3]; attribution.dim(0)?];
    let mut n = 0;
    for change in changes {
        let (perturbation, b) = change?;
        if attribution.dims() != perturbation.dims() {
            return shape(
                "the attribution",
                attribution.dims(),
                format!("{:?}, as the inputs have,", perturbation.dims()),
            );
        }
        check(b.len() == moments.len(), "changes", b.len(), "one for each input")?;
        let a = sums(&(&perturbation * attribution)?)?;
        for (i, m) in moments.iter_mut().enumerate() {
            [a[i] * a[i], a[i] * b[i], b[i] * b[i]]
                .iter()
                .zip(m)
                .for_each(|(new, sum)| *sum += new);
        }
        n += 1;
    }
    check(n >= 1, "samples", n, "a number from 1")?;
    Ok(moments
        .into_iter()
        .map(|[aa, ab, bb]| {
            let scale = scaling.factor(aa, ab);
            (scale * scale * aa - 2. * scale * ab + bb) / f64::from(n)
        })
        .collect())
}

/// Options of [`max_sensitivity`].
#[derive(Debug, Clone, PartialEq)]
pub struct MaxSensitivity {
    /// Perturbations of each input, from 1. Default 10.
    pub samples: usize,
    /// Greatest change of an entry in the input's units, above 0. Default 0.02.
    pub radius: f64,
    /// Decides the perturbations together with the input's place in the batch. Default 0.
    pub seed: u64,
}

impl Default for MaxSensitivity {
    fn default() -> Self {
        Self { samples: 10, radius: 0.02, seed: 0 }
    }
}

/// max_r ‖φ(x + r) - φ(x)‖/‖φ(x)‖ for each input, over uniform r with |r_i| ≤ radius: how much a
/// change that does not matter changes the explanation `explain`, such as `|x| target.gradient(x)`.
/// Where φ(x) is 0, the numerator alone.
///
/// # Errors
/// If an option is outside its range, an explanation is not finite, or `explain` fails.
pub fn max_sensitivity(
    explain: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    options: &MaxSensitivity,
) -> Result<Vec<f64>> {
    check(options.samples >= 1, "samples", options.samples, "a number from 1")?;
    check(
        options.radius > 0. && options.radius.is_finite(),
        "radius",
        options.radius,
        "a number above 0",
    )?;
    let perturbations = (0..options.samples).map(|sample| uniform(x, options, sample));
    max_sensitivity_under(explain, x, perturbations)
}

/// The same under given perturbations r of x's shape.
///
/// # Errors
/// If there is none, the shapes differ, an explanation is not finite, or `explain` fails.
pub fn max_sensitivity_under(
    explain: impl Fn(&Tensor) -> Result<Tensor>,
    x: &Tensor,
    perturbations: impl IntoIterator<Item = Result<Tensor>>,
) -> Result<Vec<f64>> {
    let norms = |t: &Tensor| -> Result<Vec<f64>> {
        Ok(sums(&t.to_dtype(DType::F64)?.sqr()?)?.into_iter().map(f64::sqrt).collect())
    };
    let at_x = explain(x)?;
    let own = norms(&at_x)?;
    let mut greatest: Option<Vec<f64>> = None;
    for perturbation in perturbations {
        let moved = norms(&(explain(&(x + perturbation?)?)? - &at_x)?)?;
        if moved.iter().chain(&own).any(|norm| !norm.is_finite()) {
            return Err(Error::NotFinite("the explanation".into()));
        }
        let relative =
            moved.iter().zip(&own).map(|(moved, own)| if *own > 0. { moved / own } else { *moved });
        greatest = Some(match greatest {
            None => relative.collect(),
            Some(greatest) => greatest.iter().zip(relative).map(|(a, b)| a.max(b)).collect(),
        });
    }
    greatest.map_or_else(|| check(false, "samples", 0, "a number from 1").map(|()| vec![]), Ok)
}

fn uniform(x: &Tensor, options: &MaxSensitivity, sample: usize) -> Result<Tensor> {
    let inputs = x.dim(0)?;
    let size = x.elem_count() / inputs.max(1);
    let mut values = Vec::with_capacity(x.elem_count());
    for input in 0..inputs {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        rng.set_stream((input as u64) << 32 | sample as u64);
        values.extend((0..size).map(|_| options.radius * rng.random_range(-1f64..=1.)));
    }
    Ok(Tensor::from_vec(values, x.shape(), x.device())?.to_dtype(x.dtype())?)
}
