//! What depends on weights alone is computed once, and what nothing needs is removed.

use candle_core::{DType, Device, Tensor};
use foresee_graph::{
    Binary, Builder, Graph, Op, OpError, Origin, Padding, Scalar, Unary, ValueId, Window,
};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn integers(builder: &mut Builder, name: &str, numbers: &[i64]) -> AnyResult<ValueId> {
    Ok(builder.weight(name, Tensor::new(numbers, &Device::Cpu)?)?)
}

/// Numbers that differ, of a shape.
fn numbers(shape: &[usize]) -> AnyResult<Tensor> {
    let count: usize = shape.iter().product();
    let numbers: Vec<f32> = (0..count).map(|i| (i as f32 * 0.7).sin()).collect();
    Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?)
}

fn names(graph: &Graph) -> Vec<&str> {
    graph.nodes().map(|(_, node)| node.name.as_str()).collect()
}

fn flat(tensor: &Tensor) -> AnyResult<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

fn same_outputs(before: &Graph, after: &Graph, x: &Tensor) -> AnyResult {
    let [before, after] = [before, after].map(|graph| graph.forward(std::slice::from_ref(x)));
    for (before, after) in before?.iter().zip(&after?) {
        assert_eq!(before.dims(), after.dims());
        assert_eq!(flat(before)?, flat(after)?);
    }
    Ok(())
}

#[test]
fn weights_that_the_graph_makes_become_weights() -> AnyResult {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3), None, None])?;
    let shape = integers(&mut builder, "shape", &[4, 3, 3, 3])?;
    let ones = Op::ConstantOfShape(Scalar::Float(0.5));
    let halves = builder.node("halves", ones, &[shape])?;
    let scale = builder.weight("scale", numbers(&[4, 1, 1, 1])?)?;
    let weight = builder.node("weight", Op::Binary(Binary::Mul), &[halves, scale])?;
    let window = Window { padding: Padding::Explicit(vec![(1, 1); 2]), ..Window::new(2) };
    let y = builder.node("conv", Op::Conv(window), &[x, weight])?;
    let graph = builder.finish(vec![y])?;

    let folded = graph.fold_constants()?;
    assert_eq!(names(&folded), ["conv"]);
    // `shape`, `halves` and `scale` are gone.
    let weights: Vec<&str> = folded.values().map(|(_, value)| value.name.as_str()).collect();
    assert_eq!(weights, ["x", "weight", "conv"]);
    same_outputs(&graph, &folded, &numbers(&[2, 3, 5, 6])?)
}

#[test]
fn shapes_that_depend_on_the_batch_stay_computed() -> AnyResult {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(2), Some(3)])?;
    let all = Op::Shape { start: 0, end: None };
    let shape = builder.node("shape", all, &[x])?;
    let first = builder.weight("first", Tensor::new(0i64, &Device::Cpu)?)?;
    let batch = builder.node("batch", Op::Gather { axis: 0 }, &[shape, first])?;
    let axes = integers(&mut builder, "axes", &[0])?;
    let batch = builder.node("batch_1d", Op::Unsqueeze, &[batch, axes])?;
    let (six, two) = (integers(&mut builder, "six", &[6])?, integers(&mut builder, "two", &[2])?);
    let three = builder.node("three", Op::Binary(Binary::Div), &[six, two])?;
    let to = builder.node("to", Op::Concat { axis: 0 }, &[batch, three, two])?;
    let to = builder.node("cast", Op::Identity, &[to])?;
    let y = builder.node("y", Op::Reshape { allow_zero: false }, &[x, to])?;
    let graph = builder.finish(vec![y])?;

    let folded = graph.fold_constants()?;
    assert_eq!(names(&folded), ["shape", "batch", "batch_1d", "to", "y"]);
    for batch in [1, 5] {
        same_outputs(&graph, &folded, &numbers(&[batch, 2, 3])?)?;
    }
    Ok(())
}

#[test]
fn identities_disappear_and_outputs_keep_their_names() -> AnyResult {
    let identity = || Op::Identity;
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None])?;
    let w = builder.weight("w", numbers(&[3])?)?;
    let copied = builder.node("copied", identity(), &[x])?;
    let copy = builder.node("copied_w", identity(), &[w])?;
    let sum = builder.node("sum", Op::Binary(Binary::Add), &[copied, copy])?;
    let dropout = builder.node("dropout", identity(), &[sum])?;
    let relu = builder.node("relu", Op::Unary(Unary::Relu), &[dropout])?;
    let first = builder.node("first", identity(), &[relu])?;
    let second = builder.node("second", identity(), &[relu])?;
    let input = builder.node("input", identity(), &[x])?;
    let weight = builder.node("weight", identity(), &[w])?;
    let graph = builder.finish(vec![first, second, input, weight])?;

    let folded = graph.fold_constants()?;
    // `relu` gives `first`; a second name for it, and one for the input, need their nodes.
    assert_eq!(names(&folded), ["sum", "relu", "second", "input"]);
    let outputs: Vec<&str> =
        folded.outputs().iter().map(|&id| folded.value(id).name.as_str()).collect();
    assert_eq!(outputs, ["first", "second", "input", "weight"]);
    assert_eq!(folded.producer(folded.find("first")?), Some(folded.find_node("relu")?));
    assert!(folded.find("relu").is_err());
    same_outputs(&graph, &folded, &numbers(&[3])?)
}

#[test]
fn a_small_graph_does_not_become_large() -> AnyResult {
    const MIB: i64 = 1 << 20;
    let mut builder = Builder::new();
    let x = builder.input("x", vec![Some(1)])?;
    let one = builder.weight("one", numbers(&[1])?)?;
    let mut sums = Vec::new();
    let mut add = |builder: &mut Builder, name: &str, op: Op, inputs: &[ValueId]| -> AnyResult {
        let made = builder.node(name, op, inputs)?;
        sums.push(builder.node(&format!("{name}_x"), Op::Binary(Binary::Add), &[x, made])?);
        Ok(())
    };
    // 32-bit numbers: four bytes each.
    let sizes = [("at_limit", 16 * MIB), ("above", 16 * MIB + 1)];
    for (name, size) in sizes {
        let shape = integers(&mut builder, &format!("{name}_shape"), &[size])?;
        add(&mut builder, name, Op::Expand, &[one, shape])?;
    }
    let enormous = [("weights", 40 * MIB), ("billions", 1 << 40), ("negative", -1)];
    for (name, size) in enormous {
        let shape = integers(&mut builder, &format!("{name}_shape"), &[size])?;
        add(&mut builder, name, Op::ConstantOfShape(Scalar::Float(1.)), &[shape])?;
    }
    let [zero, step] = [0f64, 1e-300].map(|number| Tensor::new(number, &Device::Cpu));
    let (zero, step) = (builder.weight("zero", zero?)?, builder.weight("step", step?)?);
    let limit = builder.weight("limit", Tensor::new(1f64, &Device::Cpu)?)?;
    add(&mut builder, "range", Op::Range, &[zero, limit, step])?;
    let folded = builder.finish(sums)?.fold_constants()?;

    let made = |name: &&str| !name.ends_with("_x");
    let left: Vec<&str> = names(&folded).into_iter().filter(made).collect();
    assert_eq!(left, ["above", "billions", "negative", "range"]);
    let Origin::Weight(weights) = &folded.value(folded.find("weights")?).origin else {
        return Err("`weights` is no weight".into());
    };
    assert_eq!(weights.elem_count(), 40 << 20);
    let mut builder = Builder::new();
    let shape = integers(&mut builder, "shape", &[500, MIB])?;
    let flags = builder.node("flags", Op::ConstantOfShape(Scalar::Bool(true)), &[shape])?;
    let folded = builder.finish(vec![flags])?.fold_constants()?;
    assert_eq!(names(&folded), ["flags"], "500 MiB of no weights");
    Ok(())
}

#[test]
fn what_nothing_needs_is_removed() -> AnyResult {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![Some(2), None])?;
    let unread = builder.input("unread", vec![])?;
    let w = builder.weight("w", numbers(&[2, 1])?)?;
    let lost = builder.weight("lost", numbers(&[2])?)?;
    builder.node("lost_node", Op::Binary(Binary::Mul), &[unread, lost])?;
    let halves = foresee_graph::Split { axis: 0, sizes: None, parts: 2 };
    let parts = builder.push("split", Op::Split(halves), vec![Some(x)], &["top", "bottom"])?;
    let y = builder.node("y", Op::Binary(Binary::Mul), &[parts[1], w])?;
    let graph = builder.finish(vec![y, w])?.remove_unneeded()?;

    assert_eq!(names(&graph), ["split", "y"]);
    let values: Vec<&str> = graph.values().map(|(_, value)| value.name.as_str()).collect();
    // A part that nobody reads is still what the node computes.
    assert_eq!(values, ["x", "unread", "w", "top", "bottom", "y"]);
    assert_eq!(graph.inputs().len(), 2);
    let zero = Tensor::zeros((), DType::F32, &Device::Cpu)?;
    let y = graph.forward(&[numbers(&[2, 3])?, zero])?.remove(0);
    assert_eq!(y.dims(), [2, 3]);
    Ok(())
}

#[test]
fn a_constant_that_cannot_be_computed_is_an_error() -> AnyResult {
    let mut builder = Builder::new();
    let a = builder.weight("a", numbers(&[2])?)?;
    let b = builder.weight("b", numbers(&[3])?)?;
    let y = builder.node("bad", Op::Binary(Binary::Add), &[a, b])?;
    let error = builder.finish(vec![y])?.fold_constants().map(drop).unwrap_err();
    assert!(error.to_string().starts_with("node `bad` (Add): "), "{error}");
    let foresee_graph::Error::Node { source, .. } = error else { return Err("another".into()) };
    assert!(matches!(source, OpError::Shape { .. } | OpError::Candle(_)), "{source}");
    Ok(())
}
