//! The paper's definition as types: a model, an operation that perturbs it, and the change of the
//! inference.

use foresee_stats::Matrix;

use crate::error::{AnyError, Error, Result};

/// A model under test.
pub trait Model {
    /// What it infers from.
    type Inputs: ?Sized;

    /// Its outputs [items, outputs]: the logits of images and attributes, or the components of
    /// regressions.
    ///
    /// # Errors
    /// Any error of the model's own.
    fn infer(&self, inputs: &Self::Inputs) -> std::result::Result<Matrix, AnyError>;
}

/// An operation that perturbs a model.
pub trait Operation<M: Model> {
    /// The perturbed model.
    type Perturbed: Model<Inputs = M::Inputs>;

    /// The name of the operation, such as "prune channel 7". Error messages show it.
    fn name(&self) -> String;

    /// Perturbs the model. Each operation defines what `strength` means: a number of channels, a σ,
    /// a step of a coefficient.
    ///
    /// # Errors
    /// Any error of the operation's own.
    fn perturb(&self, model: &M, strength: f64) -> std::result::Result<Self::Perturbed, AnyError>;
}

/// One perturbation and what it changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The operation's index in the list of operations.
    pub number: usize,
    /// Its name.
    pub operation: String,
    /// Its strength.
    pub strength: f64,
    /// Outputs of the perturbed model minus those of the model, [items, outputs].
    pub by_item: Matrix,
}

impl Change {
    /// How much each output changes, `[outputs]`: the mean of |change| over items. `items` lists
    /// the items that count; an item that is listed twice counts twice.
    ///
    /// ```
    /// use foresee_predict::{Change, Matrix};
    ///
    /// let change = Change {
    ///     number: 0,
    ///     operation: "prune channel 7".into(),
    ///     strength: 1.,
    ///     by_item: Matrix::from_rows(&[vec![1., -2.], vec![3., 0.]]),
    /// };
    /// assert_eq!(change.effect(&[0, 1]), [2., 1.]);
    /// assert_eq!(change.effect(&[0]), [1., 2.]);
    /// ```
    pub fn effect(&self, items: &[usize]) -> Vec<f64> {
        let mut sums = vec![0.; self.by_item.columns()];
        for &item in items {
            sums.iter_mut().zip(self.by_item.row(item)).for_each(|(sum, v)| *sum += v.abs());
        }
        sums.into_iter().map(|sum| sum / items.len() as f64).collect()
    }

    /// [`effect`](Self::effect) over all items.
    pub(crate) fn mean_effect(&self) -> Vec<f64> {
        self.effect(&(0..self.by_item.rows()).collect::<Vec<_>>())
    }
}

/// Runs a model as it is, then under each operation at each strength. Returns the changes,
/// operation by operation.
///
/// # Errors
/// The first error of the model or of an operation, or outputs of another shape than before.
pub fn observe<M: Model, O: Operation<M>>(
    model: &M,
    inputs: &M::Inputs,
    operations: &[O],
    strengths: &[f64],
) -> Result<Vec<Change>> {
    let before = model.infer(inputs).map_err(Error::of_model("the model"))?;
    let mut changes = vec![];
    for (number, operation) in operations.iter().enumerate() {
        for &strength in strengths {
            let what = format!("{}, strength {strength}", operation.name());
            let perturbed = operation.perturb(model, strength).map_err(Error::of_model(&what))?;
            let after = perturbed.infer(inputs).map_err(Error::of_model(&what))?;
            changes.push(Change {
                number,
                operation: operation.name(),
                strength,
                by_item: difference(&before, &after, &what)?,
            });
        }
    }
    Ok(changes)
}

/// `after` minus `before`.
pub(crate) fn difference(before: &Matrix, after: &Matrix, what: &str) -> Result<Matrix> {
    let shape = |m: &Matrix| format!("[{}, {}]", m.rows(), m.columns());
    if shape(before) != shape(after) {
        return Err(Error::Shape {
            what: format!("outputs under {what}"),
            expected: shape(before),
            got: shape(after),
        });
    }
    let rows: Vec<Vec<f64>> = (0..before.rows())
        .map(|i| before.row(i).iter().zip(after.row(i)).map(|(b, a)| a - b).collect())
        .collect();
    Ok(Matrix::from_rows(&rows))
}
