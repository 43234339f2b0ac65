//! The paper's definition as types: a model, an operation that perturbs it, the change of the
//! inference, and a forecast of that change.

use foresee_analysis::Matrix;

use crate::error::{AnyError, Error, Result};

/// A model that infers.
pub trait Model {
    /// What it is given.
    type Inputs;

    /// Its answers [items, outputs]: for images and attributes the logits, for a regression its
    /// components.
    ///
    /// # Errors
    /// Any error of the model's own.
    fn infer(&self, inputs: &Self::Inputs) -> std::result::Result<Matrix, AnyError>;
}

/// Something that is done to a model.
pub trait Operation<M: Model> {
    /// The model when it is done.
    type Perturbed: Model<Inputs = M::Inputs>;

    /// What is done, such as "prune channel 7".
    fn name(&self) -> String;

    /// Does it, this strongly. What a strength means is the operation's own business: a number of
    /// channels, a σ, a step of a coefficient.
    ///
    /// # Errors
    /// Any error of the operation's own.
    fn perturb(&self, model: &M, strength: f64) -> std::result::Result<Self::Perturbed, AnyError>;
}

/// One perturbation and what it did.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The operation's place in the list of operations.
    pub number: usize,
    /// Its name.
    pub operation: String,
    /// Its strength.
    pub strength: f64,
    /// Answers of the perturbed model minus those of the model, [items, outputs].
    pub by_item: Matrix,
}

impl Change {
    /// How much each output changes: the mean of |change| over items, each of which counts as often
    /// as `items` names it.
    pub fn effect(&self, items: &[usize]) -> Vec<f64> {
        let mut sums = vec![0.; self.by_item.columns()];
        for &item in items {
            sums.iter_mut().zip(self.by_item.row(item)).for_each(|(sum, v)| *sum += v.abs());
        }
        sums.into_iter().map(|sum| sum / items.len() as f64).collect()
    }
}

/// Runs a model, then under each operation and strength: the changes, operation by operation.
///
/// # Errors
/// The first error of the model or of an operation, or answers of another shape than before.
pub fn observe<M: Model, O: Operation<M>>(
    model: &M,
    inputs: &M::Inputs,
    operations: &[O],
    strengths: &[f64],
) -> Result<Vec<Change>> {
    let before = model.infer(inputs).map_err(told("the model"))?;
    let mut changes = vec![];
    for (number, operation) in operations.iter().enumerate() {
        for &strength in strengths {
            let what = || format!("{}, strength {strength}", operation.name());
            let perturbed = operation.perturb(model, strength).map_err(told(&what()))?;
            let after = perturbed.infer(inputs).map_err(told(&what()))?;
            changes.push(Change {
                number,
                operation: operation.name(),
                strength,
                by_item: difference(&before, &after, &what())?,
            });
        }
    }
    Ok(changes)
}

fn told(what: &str) -> impl FnOnce(AnyError) -> Error {
    let what = what.to_owned();
    |source| Error::Model { what, source }
}

fn difference(before: &Matrix, after: &Matrix, what: &str) -> Result<Matrix> {
    let shape = |m: &Matrix| format!("[{}, {}]", m.rows(), m.columns());
    if shape(before) != shape(after) {
        return Err(Error::Shape {
            what: format!("answers under {what}"),
            expected: shape(before),
            got: shape(after),
        });
    }
    let rows: Vec<Vec<f64>> = (0..before.rows())
        .map(|i| before.row(i).iter().zip(after.row(i)).map(|(b, a)| a - b).collect())
        .collect();
    Ok(Matrix::from_rows(&rows))
}

/// In what unit a forecast is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// In the answers' own: it says by how much.
    Answers,
    /// In any: it says where more and where less. Its scale and zero are then fitted on what all
    /// other operations changed (two numbers).
    Any,
}

/// What a forecast needs to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Numbers of the explanation.
    pub values: usize,
    /// Perturbed models that are run beforehand.
    pub probes: usize,
}

/// What a person who has seen an explanation expects of each perturbation, said before the
/// perturbed model is run: for each change of [`observe`], in that order, how much each output will
/// change.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// What it is read from, such as "mean masks (Figure 5)".
    pub name: String,
    /// [changes, outputs], none negative.
    pub effects: Matrix,
    /// In what unit.
    pub unit: Unit,
    /// What it was made from.
    pub budget: Budget,
}

impl Forecast {
    /// "Nothing changes".
    pub fn nothing(changes: usize, outputs: usize) -> Self {
        Self {
            name: "nothing changes".into(),
            effects: Matrix::zeros(changes, outputs),
            unit: Unit::Answers,
            budget: Budget::default(),
        }
    }

    /// Linear extrapolation: the effect of each operation at a small strength, seen once, grows in
    /// proportion. `probes` has the change of each operation at the probe's strength, and
    /// `strengths` are those to be forecast.
    ///
    /// # Errors
    /// If a probe has the strength 0.
    pub fn linear(probes: &[Change], strengths: &[f64]) -> Result<Self> {
        let mut rows = vec![];
        for probe in probes {
            if probe.strength == 0. {
                return Err(Error::Value {
                    what: format!("the probe by {}", probe.operation),
                    value: 0.,
                    expected: "another strength",
                });
            }
            let seen = probe.effect(&(0..probe.by_item.rows()).collect::<Vec<_>>());
            rows.extend(
                strengths
                    .iter()
                    .map(|s| seen.iter().map(|e| e * (s / probe.strength).abs()).collect()),
            );
        }
        let values = probes.iter().map(|probe| probe.by_item.columns()).sum();
        let budget = Budget { values, probes: probes.len() };
        Ok(Self {
            name: "linear from one small probe".into(),
            effects: Matrix::from_rows(&rows),
            unit: Unit::Answers,
            budget,
        })
    }
}
