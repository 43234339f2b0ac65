//! What pruning a layer does: forecast, and as it came.

use std::fmt;

use foresee_stats::Matrix;

/// The accuracy that logits [images, K] have.
pub type Judge<'a> = &'a dyn Fn(&Matrix) -> f64;

/// What the answers of a network are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// One for each output: whether its logit is above 0.
    Each,
    /// One for each image: the greatest output.
    One,
}

/// What changes of a network's answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerEffect {
    /// The mean over images and outputs of |change|.
    pub change: f64,
    /// The share of answers that flip; forecast only where all outputs are.
    pub flips: Option<f64>,
    /// The accuracy, where there are labels; forecast only where all outputs are.
    pub accuracy: Option<f64>,
}

/// What is pruned.
#[derive(Debug, Clone, PartialEq)]
pub enum Pruned {
    /// A share of the layer whose group has this name.
    Layer(String),
    /// All layers evenly, as far as [`budget_counts`](foresee_perturb::budget_counts) says.
    Together {
        /// The share of the network's multiply-accumulates that is left at most.
        operations: f64,
    },
}

impl fmt::Display for Pruned {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Layer(layer) => write!(f, "`{layer}`"),
            Self::Together { operations } => {
                let percent = (1e4 * operations).round() / 100.;
                write!(f, "all layers, to {percent} % of the operations")
            }
        }
    }
}

/// What is pruned: the forecast beside what came.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerOutcome {
    /// What it is.
    pub what: Pruned,
    /// The share of a layer's units that was asked for, or of the operations that are left.
    pub share: f64,
    /// How many units its layers have.
    pub units: usize,
    /// How many were pruned.
    pub pruned: usize,
    /// What was forecast to first order.
    pub first_order: LayerEffect,
    /// What was forecast to second order; none under a takeover.
    pub second_order: Option<LayerEffect>,
    /// What came. Flips and accuracy are of all outputs.
    pub observed: LayerEffect,
    /// The accuracy before, where there are labels.
    pub accuracy_before: Option<f64>,
}

/// The logits of a network before anything is pruned, and those of them that are forecast.
pub(super) struct Before<'a> {
    pub(super) all: Matrix,
    pub(super) outputs: &'a [usize],
    pub(super) answers: Answers,
    pub(super) judge: Option<Judge<'a>>,
}

impl Before<'_> {
    /// The logits of the outputs that are forecast.
    pub(super) fn asked(&self) -> Matrix {
        self.select(&self.all)
    }

    pub(super) fn select(&self, logits: &Matrix) -> Matrix {
        let of = |i, k: usize| logits.get(i, self.outputs[k]);
        Matrix::from_fn(logits.rows(), self.outputs.len(), of)
    }

    pub(super) fn accuracy(&self) -> Option<f64> {
        self.judge.map(|judge| judge(&self.all))
    }

    /// The effect of these changes of the outputs that are forecast.
    pub(super) fn forecast(&self, change: &Matrix) -> LayerEffect {
        let before = self.asked();
        let sum = |i, k| before.get(i, k) + change.get(i, k);
        let after = Matrix::from_fn(before.rows(), before.columns(), sum);
        let knows_all = self.outputs.iter().copied().eq(0..self.all.columns());
        LayerEffect {
            change: mean(&mean_sizes(change)),
            flips: knows_all.then(|| self.answers.flips(&before, &after)),
            accuracy: self.judge.filter(|_| knows_all).map(|judge| judge(&after)),
        }
    }

    /// The effect that these logits of all outputs show, with the changes of those that are
    /// forecast.
    pub(super) fn observed(&self, change: &Matrix, after: &Matrix) -> LayerEffect {
        LayerEffect {
            change: mean(&mean_sizes(change)),
            flips: Some(self.answers.flips(&self.all, after)),
            accuracy: self.judge.map(|judge| judge(after)),
        }
    }
}

/// The mean of |value| of each column.
pub(super) fn mean_sizes(values: &Matrix) -> Vec<f64> {
    let column = |k: usize| (0..values.rows()).map(|i| values.get(i, k).abs()).sum::<f64>();
    (0..values.columns()).map(|k| column(k) / values.rows().max(1) as f64).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

impl Answers {
    /// The share of answers that differ.
    fn flips(self, before: &Matrix, after: &Matrix) -> f64 {
        let (rows, columns) = (before.rows(), before.columns());
        let is_above = |of: &Matrix, i: usize| -> Vec<bool> {
            of.row(i).iter().map(|logit| *logit > 0.).collect()
        };
        let differ = |i: usize| match self {
            Self::Each => {
                let (before, after) = (is_above(before, i), is_above(after, i));
                before.iter().zip(&after).filter(|(before, after)| before != after).count()
            }
            Self::One => usize::from(greatest(before.row(i)) != greatest(after.row(i))),
        };
        let answers = match self {
            Self::Each => rows * columns,
            Self::One => rows,
        };
        (0..rows).map(differ).sum::<usize>() as f64 / answers.max(1) as f64
    }
}

/// The place of the greatest value; of equal ones the first.
fn greatest(values: &[f64]) -> usize {
    (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}
