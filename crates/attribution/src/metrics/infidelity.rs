//! Infidelity (Yeh et al., 2019).

use candle_core::Tensor;

use crate::error::{Error, Result, check};
use crate::noise::gaussian;
use crate::target::Target;
use crate::tensors::{check_finite, check_float, check_like, sum_per_input};

/// The factor of an attribution before infidelity compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaling {
    /// 1, as the measure is defined.
    #[default]
    None,
    /// The factor that fits best, so that only the direction counts (Captum's `normalize`). It may
    /// be below 0: a map of the wrong sign is then as good as one of the right sign.
    Best,
    /// The factor from 0 that fits best: a map that has the wrong sign is worth no more than a map
    /// of zeros.
    BestFromZero,
}

impl Scaling {
    /// The factor for mean squares `aa` of the predicted changes and mean products `ab` with the
    /// true ones.
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
    /// The attribution's factor. Default none.
    pub scaling: Scaling,
    /// Decides the perturbations together with the input's position in the batch. Default 0.
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
    infidelity_with_perturbations(target, x, attribution, perturbations, options.scaling)
}

/// [`infidelity`] with given perturbations I of x's shape.
///
/// # Errors
/// If there is none, the shapes differ, or the model fails.
pub fn infidelity_with_perturbations<F: Fn(&Tensor) -> candle_core::Result<Tensor>>(
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
    infidelity_from_changes(attribution, changes, scaling)
}

/// [`infidelity`] where the change of f by each perturbation I, f(x) - f(x - I) for each input, is
/// known already: many attributions of the same inputs need the model once.
///
/// # Errors
/// If there is no perturbation or the shapes differ.
pub fn infidelity_from_changes(
    attribution: &Tensor,
    changes: impl IntoIterator<Item = Result<(Tensor, Vec<f64>)>>,
    scaling: Scaling,
) -> Result<Vec<f64>> {
    // Sums of a², ab and b² for a = Iᵀφ and b = f(x) - f(x - I).
    check_float("the attribution", attribution)?;
    let attribution = &check_finite(attribution.clone(), || "the attribution".into())?;
    if attribution.rank() < 2 {
        return Err(Error::shape("the attribution", attribution.dims(), "[B, ...]"));
    }
    let mut moments = vec![[0f64; 3]; attribution.dim(0)?];
    let mut n = 0;
    for change in changes {
        let (perturbation, b) = change?;
        if attribution.dims() != perturbation.dims() {
            let expected = format!("{:?}, as the inputs have,", perturbation.dims());
            return Err(Error::shape("the attribution", attribution.dims(), expected));
        }
        check_like("a perturbation", &perturbation, attribution)?;
        check(b.len() == moments.len(), "changes", b.len(), "one for each input")?;
        let a = sum_per_input(&(&perturbation * attribution)?)?;
        for (moments, (a, b)) in moments.iter_mut().zip(a.iter().zip(&b)) {
            moments[0] += a * a;
            moments[1] += a * b;
            moments[2] += b * b;
        }
        n += 1;
    }
    check(n >= 1, "samples", n, "a number from 1")?;
    Ok(moments
        .into_iter()
        .map(|[aa, ab, bb]| {
            let scale = scaling.factor(aa, ab);
            // Rounding alone can make it negative.
            ((scale * scale * aa - 2. * scale * ab + bb) / f64::from(n)).max(0.)
        })
        .collect())
}
