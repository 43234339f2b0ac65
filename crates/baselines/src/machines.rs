//! Linear support vector machines, one for each attribute, on features that all share.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::error::{Result, check};
use crate::svm::Svm;

/// The tensors of a network that the machines become.
pub(crate) const WEIGHT: &str = "svm.weight";
pub(crate) const BIAS: &str = "svm.bias";

/// C that are tried, on features that are standardised and whose vectors have a mean square of 1.
const COSTS: [f64; 4] = [0.1, 0.3, 1., 3.];
/// Examples among which C is chosen, at most; the last fifth of them judges.
const CHOSEN_ON: usize = 1500;
/// Machines that are trained at once: each takes about 20 bytes for each pair of examples.
const AT_ONCE: usize = 4;
/// Features that deviate less do not count.
const SMALLEST: f64 = 1e-6;

/// The decisions weight·x + bias: above 0 for yes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Machines {
    /// [K, D], row by row.
    pub weight: Vec<f64>,
    /// `[K]`.
    pub bias: Vec<f64>,
}

impl Machines {
    /// Trains on features [N, D] and all labels of each example. With x̃ the standardised features
    /// over √D, the machine of an attribute is f(x) = Σ_i α_i·x̃_i·x̃ + b over the support vectors,
    /// by LIBSVM on the kernel x̃_i·x̃_j, which all attributes share; standardising is then folded
    /// into its weights. C is that of the highest accuracy on a fifth of the examples.
    ///
    /// # Errors
    /// If there are fewer than 10 examples, or labels of another number of examples.
    pub fn train(
        features: &Tensor,
        labels: &[Vec<bool>],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Self> {
        let count = labels.len();
        check("the number of images", count, count >= 10, "10 or more")?;
        let expected = format!("{count}, one for each image's labels");
        check("the rows of features", features.dim(0)?, features.dim(0)? == count, expected)?;
        let examples = Examples::new(features)?;
        let attributes: Vec<usize> = (0..labels[0].len()).collect();
        let mut machines = Self { weight: vec![], bias: vec![] };
        for some in attributes.chunks(AT_ONCE) {
            let trained = some.par_iter().map(|&attribute| {
                let labels: Vec<bool> = labels.iter().map(|row| row[attribute]).collect();
                let machine = examples.machine(&labels)?;
                progress(1);
                Ok(machine)
            });
            for (weight, bias) in trained.collect::<Result<Vec<_>>>()? {
                machines.weight.extend(weight);
                machines.bias.push(bias);
            }
        }
        Ok(machines)
    }
}

/// Standardised features and the kernel of all pairs.
struct Examples {
    /// [N, D], each row over √D.
    rows: Vec<f64>,
    /// [N, N].
    kernel: Vec<f32>,
    mean: Vec<f64>,
    /// What a feature was divided by; infinite if it is constant.
    scale: Vec<f64>,
}

impl Examples {
    fn new(features: &Tensor) -> Result<Self> {
        let (count, width) = features.dims2()?;
        let features = features.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let values = features.flatten_all()?.to_vec1::<f64>()?;
        let mut mean = vec![0.; width];
        let mut square = vec![0.; width];
        for row in values.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / count as f64);
        }
        for row in values.chunks_exact(width) {
            for ((square, x), mean) in square.iter_mut().zip(row).zip(&mean) {
                *square += (x - mean).powi(2) / count as f64;
            }
        }
        let scale = |square: f64| match square.sqrt() {
            deviation if deviation > SMALLEST => deviation * (width as f64).sqrt(),
            _ => f64::INFINITY,
        };
        let scale: Vec<f64> = square.into_iter().map(scale).collect();
        let of_row = |row: &[f64]| -> Vec<f64> {
            let of = row.iter().zip(&mean).zip(&scale);
            of.map(|((x, mean), scale)| (x - mean) / scale).collect()
        };
        let rows: Vec<f64> = values.chunks_exact(width).flat_map(of_row).collect();
        let table = Tensor::from_slice(&rows, (count, width), &Device::Cpu)?;
        let table = table.to_dtype(DType::F32)?;
        let kernel = table.matmul(&table.t()?)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(Self { rows, kernel, mean, scale })
    }

    /// The weights and the bias of the machine for these labels.
    fn machine(&self, labels: &[bool]) -> Result<(Vec<f64>, f64)> {
        self.machine_of(labels, self.cost(labels)?)
    }

    /// The same for this C.
    fn machine_of(&self, labels: &[bool], cost: f64) -> Result<(Vec<f64>, f64)> {
        let svm = Svm::train(&self.kernel, labels, cost, false)?;
        let width = self.mean.len();
        let mut weight = vec![0.; width];
        for (at, alpha) in &svm.vectors {
            let row = &self.rows[at * width..][..width];
            weight.iter_mut().zip(row).for_each(|(weight, x)| *weight += alpha * x);
        }
        weight.iter_mut().zip(&self.scale).for_each(|(weight, scale)| *weight /= scale);
        let shift: f64 = weight.iter().zip(&self.mean).map(|(weight, mean)| weight * mean).sum();
        Ok((weight, svm.offset - shift))
    }

    /// The first C of the highest accuracy.
    fn cost(&self, labels: &[bool]) -> Result<f64> {
        let count = labels.len();
        let all = count.min(CHOSEN_ON);
        let train = all * 4 / 5;
        let row = |at: usize| &self.kernel[at * count..][..train];
        let own: Vec<f32> = (0..train).flat_map(|at| row(at).iter().copied()).collect();
        let mut best = (0, COSTS[0]);
        for cost in COSTS {
            let svm = Svm::train(&own, &labels[..train], cost, false)?;
            let is_right =
                |at: &usize| (svm.decide(|i| f64::from(row(*at)[i])) > 0.) == labels[*at];
            let right = (train..all).filter(is_right).count();
            if right > best.0 {
                best = (right, cost);
            }
        }
        Ok(best.1)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Fixture {
        linear: Linear,
    }

    #[derive(Deserialize)]
    struct Linear {
        /// [60, 5].
        features: Vec<f64>,
        answers: Vec<bool>,
        /// C = 1.
        decisions: Vec<f64>,
    }

    fn fixture() -> Result<(Tensor, Vec<bool>, Vec<f64>)> {
        let text = include_str!("../tests/fixtures/svm.json");
        let Fixture { linear } = serde_json::from_str(text).expect("the fixture");
        let features = Tensor::from_vec(linear.features, (60, 5), &Device::Cpu)?;
        Ok((features, linear.answers, linear.decisions))
    }

    #[test]
    fn decisions_are_those_of_scikit_learn() -> Result<()> {
        let (features, answers, decisions) = fixture()?;
        let (weight, bias) = Examples::new(&features)?.machine_of(&answers, 1.)?;
        for (row, expected) in features.to_vec2::<f64>()?.iter().zip(decisions) {
            let found: f64 = row.iter().zip(&weight).map(|(x, w)| x * w).sum::<f64>() + bias;
            // Both stop at a tolerance of 1e-3.
            assert!((found - expected).abs() < 5e-3, "{found}, expected {expected}");
        }
        assert_eq!(weight[4], 0., "a constant feature says nothing");
        Ok(())
    }

    #[test]
    fn machines_are_the_same_on_any_number_of_threads() -> Result<()> {
        let (features, answers, _) = fixture()?;
        let labels: Vec<Vec<bool>> =
            answers.iter().enumerate().map(|(i, &yes)| vec![yes, !yes, i % 3 == 0, true]).collect();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads").install(|| Machines::train(&features, &labels, &|_| ()))
        };
        let machines = on(1)?;
        assert_eq!(machines, on(3)?);
        assert_eq!((machines.weight.len(), machines.bias.len()), (20, 4));
        // The second attribute is the first one's opposite, the last one is always there.
        let opposite = machines.weight[..5].iter().zip(&machines.weight[5..10]);
        assert!(opposite.into_iter().all(|(a, b)| (a + b).abs() < 1e-2 * (1. + a.abs())));
        assert!(machines.weight[15..].iter().all(|w| *w == 0.) && machines.bias[3] > 0.);
        Ok(())
    }
}
