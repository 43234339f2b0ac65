//! The softmax or sigmoids in which a network ends, and the probabilities that logits stand for.

use std::collections::BTreeSet;

use foresee_graph::{Graph, Kind, Node, NodeId, Op, Shapes, Unary, ValueId};
use foresee_stats::{sigmoid, softmax};

/// A function that makes probabilities of logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FinalActivation {
    Softmax,
    Sigmoid,
}

impl FinalActivation {
    /// The nodes that make probabilities of logits, if an output is made by such, and what they
    /// compute. Operations that leave all values as they are may come after them, such as casts and
    /// reshapes; after sigmoids also those that choose, order and join values.
    pub fn find(graph: &Graph, shapes: &Shapes, output: ValueId) -> Option<(Vec<NodeId>, Self)> {
        let one = Self::find_one(graph, shapes, output).map(|(node, found)| (vec![node], found));
        one.or_else(|| Some((sigmoids(graph, output)?, Self::Sigmoid)))
    }

    fn find_one(graph: &Graph, shapes: &Shapes, output: ValueId) -> Option<(NodeId, Self)> {
        let size = |value: ValueId| shapes.of(value).iter().product::<usize>();
        let mut value = output;
        loop {
            let id = graph.producer(value)?;
            let node = graph.node(id);
            value = node.input(0)?;
            if size(value) != size(output) {
                return None;
            }
            if let Some(found) = Self::of(node, shapes.of(value)) {
                return Some((id, found));
            }
            if !keeps_values(&node.op, shapes.of(value)) {
                return None;
            }
        }
    }

    /// `shape` is that of the logits for one image.
    fn of(node: &Node, shape: &[usize]) -> Option<Self> {
        match &node.op {
            Op::Unary(Unary::Sigmoid) => Some(Self::Sigmoid),
            Op::Softmax(softmax) => {
                let axis = softmax.axis.rem_euclid(shape.len().max(1) as isize) as usize;
                let summed: usize = match softmax.flattens {
                    true => shape[axis..].iter().product(),
                    false => shape[axis],
                };
                // Over anything else than the classes it makes no probabilities of them.
                (summed == shape.iter().product::<usize>()).then_some(Self::Softmax)
            }
            _ => None,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
        }
    }

    /// The probability of each output, from the logits of one image `[K]`.
    pub fn probabilities(self, logits: &[f32]) -> Vec<f64> {
        let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        match self {
            Self::Sigmoid => logits.into_iter().map(sigmoid).collect(),
            Self::Softmax => softmax(&logits),
        }
    }
}

/// The sigmoids whose values an output consists of, chosen, ordered and joined. None may depend on
/// another one's result: leaving that one out would change it.
fn sigmoids(graph: &Graph, output: ValueId) -> Option<Vec<NodeId>> {
    let mut found = BTreeSet::new();
    let mut values = vec![output];
    while let Some(value) = values.pop() {
        let id = graph.producer(value)?;
        let node = graph.node(id);
        match &node.op {
            Op::Unary(Unary::Sigmoid) => {
                found.insert(id);
            }
            Op::Concat { .. } => values.extend(node.inputs.iter().flatten()),
            Op::Identity
            | Op::Cast(Kind::Float)
            | Op::Flatten { .. }
            | Op::Reshape { .. }
            | Op::Squeeze
            | Op::Unsqueeze
            | Op::Transpose { .. }
            | Op::Slice
            | Op::Split(_)
            | Op::Gather { .. } => values.push(node.input(0)?),
            _ => return None,
        }
    }
    let mut before: Vec<ValueId> = found.iter().filter_map(|id| graph.node(*id).input(0)).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = before.pop().map(|value| graph.producer(value)) {
        let Some(id) = id.filter(|id| seen.insert(*id)) else { continue };
        if found.contains(&id) {
            return None;
        }
        before.extend(graph.node(id).inputs.iter().flatten());
    }
    Some(found.into_iter().collect())
}

/// Whether an operation gives the values of an image as they are, in their order.
fn keeps_values(op: &Op, shape: &[usize]) -> bool {
    match op {
        Op::Identity | Op::Cast(Kind::Float) | Op::Flatten { .. } | Op::Reshape { .. } => true,
        Op::Squeeze | Op::Unsqueeze => true,
        Op::Transpose { .. } => shape.iter().filter(|size| **size > 1).count() <= 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use foresee_graph::{Builder, PoolKind, Softmax};

    use super::*;

    type Found<T = ()> = Result<T, foresee_graph::Error>;

    /// What is found at the end of pool, activation and what follows.
    fn found(activation: Op, after: &[Op]) -> Found<Option<(String, FinalActivation)>> {
        let mut builder = Builder::new();
        let x = builder.input("x", vec![None, Some(3), Some(4), Some(4)])?;
        let mut y = builder.node("pool", Op::GlobalPool(PoolKind::Average), &[x])?;
        y = builder.node("activation", activation, &[y])?;
        for (place, op) in after.iter().enumerate() {
            y = builder.node(&format!("after{place}"), op.clone(), &[y])?;
        }
        let graph = builder.finish(vec![y])?;
        let shapes = graph.shapes(1, &[])?;
        let found = FinalActivation::find(&graph, &shapes, y);
        let name = |nodes: Vec<NodeId>| graph.node(nodes[0]).name.clone();
        Ok(found.map(|(nodes, found)| (name(nodes), found)))
    }

    /// Sigmoids of two heads, joined; the second is of the first one's logits or of its answer.
    #[test]
    fn sigmoids_that_are_joined_are_found_unless_one_is_given_another() -> Found {
        for (of_answer, expected) in [(false, Some(2)), (true, None)] {
            let mut builder = Builder::new();
            let x = builder.input("x", vec![None, Some(3)])?;
            let sigmoid = || Op::Unary(Unary::Sigmoid);
            let first = builder.node("first", sigmoid(), &[x])?;
            let argument = builder.node(
                "argument",
                Op::Unary(Unary::Relu),
                &[if of_answer { first } else { x }],
            )?;
            let second = builder.node("second", sigmoid(), &[argument])?;
            let second = builder.node("order", Op::Transpose { order: None }, &[second])?;
            let second = builder.node("back", Op::Transpose { order: None }, &[second])?;
            let y = builder.node("joined", Op::Concat { axis: 1 }, &[first, second])?;
            let graph = builder.finish(vec![y])?;
            let found = FinalActivation::find(&graph, &graph.shapes(1, &[])?, y);
            let found = found.map(|(nodes, kind)| {
                assert_eq!(kind, FinalActivation::Sigmoid);
                nodes.len()
            });
            assert_eq!(found, expected);
        }
        Ok(())
    }

    #[test]
    fn activations_are_found_behind_what_keeps_values() -> Found {
        let softmax = |axis, flattens| Op::Softmax(Softmax { axis, flattens, logarithm: false });
        let sigmoid = || Op::Unary(Unary::Sigmoid);
        let flatten = Op::Flatten { axis: 1 };
        let yes = |kind| Some(("activation".to_owned(), kind));
        let (is_sigmoid, is_softmax) =
            (yes(FinalActivation::Sigmoid), yes(FinalActivation::Softmax));
        assert_eq!(found(sigmoid(), &[])?, is_sigmoid);
        for after in [Op::Identity, Op::Cast(Kind::Float), flatten.clone()] {
            assert_eq!(found(sigmoid(), std::slice::from_ref(&after))?, is_sigmoid, "{after:?}");
            assert_eq!(found(softmax(1, false), &[after.clone(), flatten.clone()])?, is_softmax);
        }
        let transpose = Op::Transpose { order: Some(vec![0, 2, 3, 1]) };
        assert_eq!(found(softmax(-3, false), &[transpose])?, is_softmax);
        assert_eq!(found(softmax(1, true), std::slice::from_ref(&flatten))?, is_softmax);
        // Over places, of which there is one; and what changes the values.
        assert_eq!(found(softmax(3, false), std::slice::from_ref(&flatten))?, None);
        assert_eq!(found(sigmoid(), &[Op::Unary(Unary::Relu)])?, None);
        Ok(())
    }

    #[test]
    fn probabilities_by_hand() {
        let third = FinalActivation::Softmax.probabilities(&[0., 2f32.ln()]);
        assert!((third[0] - 1. / 3.).abs() < 1e-6 && (third[1] - 2. / 3.).abs() < 1e-6);
        assert_eq!(FinalActivation::Sigmoid.probabilities(&[0., f32::INFINITY]), [0.5, 1.]);
    }
}
