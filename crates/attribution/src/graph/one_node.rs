//! One node by itself: what it gives for any inputs, and gradients in them.

use candle_core::{Tensor, Var};
use foresee_graph::{Node, Op};

use crate::error::{Error, Result};

/// What an operation with one output gives.
pub(super) fn apply_op(op: &Op, inputs: &[Option<Tensor>]) -> Result<Tensor> {
    let node = Node { name: op.name().into(), op: op.clone(), inputs: vec![], outputs: vec![] };
    Ok(node.run(inputs)?.swap_remove(0))
}

/// A node's outputs, from which there is a way back to some of its inputs.
pub(super) struct Taped {
    pub outputs: Vec<Tensor>,
    variables: Vec<Var>,
}

impl Taped {
    /// The way goes to the inputs at these places.
    pub fn new(node: &Node, inputs: &[Option<Tensor>], places: &[usize]) -> Result<Self> {
        let mut inputs = inputs.to_vec();
        let mut variables = vec![];
        for &place in places {
            let Some(input) = &mut inputs[place] else { continue };
            let variable = Var::from_tensor(&input.detach())?;
            *input = variable.as_tensor().clone();
            variables.push(variable);
        }
        Ok(Self { outputs: node.run(&inputs)?, variables })
    }

    /// Jᵀg in the inputs, for the gradients g in the outputs; none is 0.
    pub fn back(&self, g: &[Option<Tensor>]) -> Result<Vec<Tensor>> {
        let mut sum: Option<Tensor> = None;
        for (y, g) in self.outputs.iter().zip(g) {
            let Some(g) = g else { continue };
            let part = (y * g)?.sum_all()?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        let none = || Error::NoGradient("the input of a node");
        let gradients = sum.ok_or_else(none)?.backward()?;
        let gradient =
            |variable: &Var| gradients.get(variable).map(Tensor::detach).ok_or_else(none);
        self.variables.iter().map(gradient).collect()
    }
}

/// Jᵀg in the inputs at some places, for the gradients g in the outputs; none is 0.
pub(super) fn back(
    node: &Node,
    inputs: &[Option<Tensor>],
    places: &[usize],
    g: &[Option<Tensor>],
) -> Result<Vec<Tensor>> {
    Taped::new(node, inputs, places)?.back(g)
}
