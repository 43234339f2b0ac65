//! One node by itself: what it gives for any inputs, and gradients in them.

use candle_core::{Tensor, Var};
use foresee_graph::{Builder, Node};

use crate::error::{Error, Result};

/// A node's outputs. Inputs that are left out are `None`.
pub(super) fn apply(node: &Node, inputs: &[Option<Tensor>]) -> Result<Vec<Tensor>> {
    let mut builder = Builder::new();
    let (mut places, mut given) = (vec![], vec![]);
    for (place, tensor) in inputs.iter().enumerate() {
        let Some(tensor) = tensor else {
            places.push(None);
            continue;
        };
        let id = builder.input(&format!("input {place}"), vec![None; tensor.rank()])?;
        given.push((id, tensor.clone()));
        places.push(Some(id));
    }
    let names: Vec<String> = (0..node.outputs.len()).map(|place| format!("{place}")).collect();
    let outputs = builder.push(&node.name, node.op.clone(), places, &names)?;
    Ok(builder.finish(outputs.clone())?.evaluate(&given, &outputs)?)
}

/// Jᵀg in the inputs at some places, for the gradients g in the outputs; none is 0.
pub(super) fn back(
    node: &Node,
    inputs: &[Option<Tensor>],
    places: &[usize],
    g: &[Option<Tensor>],
) -> Result<Vec<Tensor>> {
    let mut inputs = inputs.to_vec();
    let mut variables = vec![];
    for &place in places {
        let Some(input) = &mut inputs[place] else { continue };
        let variable = Var::from_tensor(&input.detach())?;
        *input = variable.as_tensor().clone();
        variables.push(variable);
    }
    let mut sum: Option<Tensor> = None;
    for (y, g) in apply(node, &inputs)?.iter().zip(g) {
        let Some(g) = g else { continue };
        let part = (y * g)?.sum_all()?;
        sum = Some(match sum {
            Some(sum) => (sum + part)?,
            None => part,
        });
    }
    let no_gradient = Error::NoGradient("the input of a node");
    let gradients = sum.ok_or(no_gradient)?.backward()?;
    let gradient = |variable: &Var| {
        let gradient = gradients.get(variable).map(Tensor::detach);
        gradient.ok_or(Error::NoGradient("the input of a node"))
    };
    variables.iter().map(gradient).collect()
}
