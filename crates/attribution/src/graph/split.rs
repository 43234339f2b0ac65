//! Graphs that are cut at a value.

use std::collections::BTreeSet;
use std::sync::Arc;

use candle_core::Tensor;
use foresee_graph::{Op, Origin, ValueId};

use super::GraphModel;
use crate::activations::Activations;
use crate::error::{Error, Result};
use crate::gradient_check::ModelChecks;
use crate::target::Target;
use crate::tensors::{batches, check_rows};

/// A [`GraphModel`] cut at a value, by [`GraphModel::split_at`].
///
/// A path may go around the value, such as a skip path around the inside of a residual branch:
/// [`activation_and_gradient`](Activations::activation_and_gradient), and so Grad-CAM, keeps such
/// paths as they are for the input, like PyTorch's hooks; [`outputs`](Activations::outputs), which
/// does not know the input, is an error there.
#[derive(Debug, Clone)]
pub struct SplitGraph<'a> {
    model: &'a GraphModel,
    value: ValueId,
    around: Around,
}

/// What the output knows of the input without the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Around {
    Nothing,
    Shape,
    Numbers,
}

impl GraphModel {
    /// The model cut at the value of this name, or at what the node of this name gives.
    ///
    /// # Errors
    /// If there is neither, or the output does not depend on it.
    pub fn split_at(&self, name: &str) -> Result<SplitGraph<'_>> {
        self.split_at_value(self.find(name)?)
    }

    /// The model cut at a value.
    ///
    /// # Errors
    /// If the output does not depend on it.
    pub fn split_at_value(&self, value: ValueId) -> Result<SplitGraph<'_>> {
        if value != self.output && self.readers(value).next().is_none() {
            let name = self.graph.value(value).name.clone();
            let reason = "the output does not depend on it".into();
            return Err(Error::Place { name, reason });
        }
        Ok(SplitGraph { model: self, value, around: self.around(value) })
    }

    fn around(&self, value: ValueId) -> Around {
        let mut around = Around::Nothing;
        let (mut left, mut seen) = (vec![self.output], BTreeSet::from([value]));
        while let Some(id) = left.pop() {
            if !seen.insert(id) {
                continue;
            }
            if id == self.input {
                return Around::Numbers;
            }
            match self.producer(id) {
                Some(node) if matches!(node.op, Op::Shape { .. } | Op::Size) => {
                    around = Around::Shape;
                }
                Some(node) => left.extend(node.inputs.iter().flatten()),
                None => {}
            }
        }
        around
    }

    /// Inputs of 0 whose shape alone matters.
    fn blank(&self, z: &Tensor) -> Result<Tensor> {
        let Origin::Input { sizes, .. } = &self.graph.value(self.input).origin else {
            return Err(Error::Degenerate("a graph without an input"));
        };
        let mut shape = vec![z.dim(0)?];
        for size in &sizes[1..] {
            shape.push(size.ok_or(Error::Degenerate(
                "the graph reads the size of its input, which is not fixed: fix it to cut there",
            ))?);
        }
        Ok(Tensor::zeros(shape, z.dtype(), z.device())?)
    }
}

impl SplitGraph<'_> {
    /// The value at which the model is cut.
    pub fn value(&self) -> ValueId {
        self.value
    }

    /// Outputs of inputs x whose activation is z.
    fn outputs_with(&self, x: &Tensor, z: &Tensor) -> Result<Tensor> {
        let given = [(self.model.input, x.clone()), (self.value, z.clone())];
        // The input itself can be where the model is cut.
        let given = if self.value == self.model.input { &given[1..] } else { &given[..] };
        self.model.outputs(given)
    }
}

impl Activations for SplitGraph<'_> {
    fn features(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let given = [(self.model.input, x.clone())];
        self.model.evaluate(&given, self.value).map_err(candle_core::Error::wrap)
    }

    fn outputs(&self, z: &Tensor) -> candle_core::Result<Tensor> {
        let outputs = match self.around {
            Around::Nothing => self.model.outputs(&[(self.value, z.clone())]),
            Around::Shape => self.model.blank(z).and_then(|x| self.outputs_with(&x, z)),
            Around::Numbers => {
                let reason = "the input also reaches the output on a path around it, so that it \
                              does not follow from the activation: cut the graph where all \
                              paths meet";
                let name = self.model.graph.value(self.value).name.clone();
                Err(Error::Place { name, reason: reason.into() })
            }
        };
        outputs.map_err(candle_core::Error::wrap)
    }

    fn batch_size(&self) -> usize {
        self.model.batch
    }

    fn checks(&self) -> ModelChecks {
        self.model.checks.clone()
    }

    fn activation_and_gradient(&self, x: &Tensor, target: usize) -> Result<(Tensor, Tensor)> {
        let x = x.detach();
        // The activation is the same for all outputs, unless it is of one output itself.
        let alone = self.model.graph.with_one_output(self.model.output, target)?;
        let (model, column) = match alone {
            Some((graph, changed)) if !changed.contains(&self.value) => {
                (GraphModel { graph: Arc::new(graph), ..self.model.clone() }, 0)
            }
            _ => (self.model.clone(), target),
        };
        let split = SplitGraph { model: &model, ..*self };
        let (mut activations, mut gradients) = (vec![], vec![]);
        for x in batches(&x, self.model.batch)? {
            let z = self.features(&x)?.detach();
            check_rows(&z, x.dim(0)?)?;
            let rest = |z: &Tensor| split.outputs_with(&x, z).map_err(candle_core::Error::wrap);
            let gradient = Target::new(rest, column).unchecked_gradient(&z, "the activation")?;
            activations.push(z);
            gradients.push(gradient);
        }
        Ok((Tensor::cat(&activations, 0)?, Tensor::cat(&gradients, 0)?))
    }

    fn values(&self, x: &Tensor, target: usize, batch: usize) -> Result<Tensor> {
        self.model.target(target).batch(batch.min(self.model.batch)).values(x)
    }
}
