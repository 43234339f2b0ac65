//! A support vector machine over a kernel that is computed beforehand, by LIBSVM's algorithm.

use libsvm_rs::{KernelType, SvmNode, SvmParameter, SvmProblem, check_parameter};

use crate::error::Result;

/// Trained: Σ α·K(x, x_i) + b, above 0 for yes.
#[derive(Debug, Clone)]
pub(crate) struct Svm {
    /// The support vectors, as numbers of training examples, each with its α.
    pub vectors: Vec<(usize, f64)>,
    pub offset: f64,
}

impl Svm {
    /// Trains on the kernel of all pairs of examples, row by row. With `balanced`, an error on the
    /// rarer answer counts more, so that both answers weigh the same.
    pub fn train(kernel: &[f32], labels: &[bool], c: f64, balanced: bool) -> Result<Self> {
        let count = labels.len();
        let yes = labels.iter().filter(|label| **label).count();
        if yes == 0 || yes == count {
            // There is nothing to learn.
            return Ok(Self { vectors: vec![], offset: if yes > 0 { 1. } else { -1. } });
        }
        let node = |(index, value): (usize, &f32)| SvmNode {
            index: index as i32 + 1,
            value: f64::from(*value),
        };
        let instance = |(number, row): (usize, &[f32])| {
            let head = SvmNode { index: 0, value: (number + 1) as f64 };
            std::iter::once(head).chain(row.iter().enumerate().map(node)).collect()
        };
        let problem = SvmProblem {
            labels: labels.iter().map(|yes| if *yes { 1. } else { -1. }).collect(),
            instances: kernel.chunks_exact(count).enumerate().map(instance).collect(),
        };
        let of = |n: usize| count as f64 / (2. * n as f64);
        let weight = match balanced {
            true => vec![(1, of(yes)), (-1, of(count - yes))],
            false => vec![],
        };
        let kernel_type = KernelType::Precomputed;
        let parameter = SvmParameter { kernel_type, c, weight, ..Default::default() };
        check_parameter(&problem, &parameter)?;
        // Else it tells its progress on the standard error.
        libsvm_rs::set_quiet(true);
        let model = libsvm_rs::train::svm_train(&problem, &parameter);
        // Its decision is for the first label.
        let sign = if model.labels().first() == Some(&1) { 1. } else { -1. };
        let numbers = model.support_vector_indices().iter().map(|index| index - 1);
        let alphas = model.sv_coef[0].iter().map(|alpha| sign * alpha);
        Ok(Self { vectors: numbers.zip(alphas).collect(), offset: -sign * model.rho[0] })
    }

    /// The decision on an example, from its kernel with each training example.
    pub fn decide(&self, kernel: impl Fn(usize) -> f64) -> f64 {
        self.vectors.iter().map(|(at, alpha)| alpha * kernel(*at)).sum::<f64>() + self.offset
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Fixture {
        kernel: Vec<f32>,
        labels: Vec<bool>,
        /// C = 1.
        plain: Vec<f64>,
        /// C = 4, both answers weigh the same.
        balanced: Vec<f64>,
    }

    #[test]
    fn decisions_are_those_of_scikit_learn() -> Result<()> {
        let text = include_str!("../tests/fixtures/svm.json");
        let Fixture { kernel, labels, plain, balanced } =
            serde_json::from_str(text).expect("the fixture");
        for (expected, c, is_balanced) in [(plain, 1., false), (balanced, 4., true)] {
            let svm = Svm::train(&kernel, &labels, c, is_balanced)?;
            for (row, expected) in kernel.chunks_exact(labels.len()).zip(expected) {
                let found = svm.decide(|at| f64::from(row[at]));
                // Both stop at a tolerance of 1e-3.
                assert!((found - expected).abs() < 5e-3, "{found}, expected {expected}");
            }
        }
        Ok(())
    }

    #[test]
    fn one_answer_alone_is_always_given() -> Result<()> {
        for answer in [true, false] {
            let svm = Svm::train(&[1., 0., 0., 1.], &[answer; 2], 1., false)?;
            assert_eq!(svm.decide(|_| 1.) > 0., answer);
        }
        Ok(())
    }
}
