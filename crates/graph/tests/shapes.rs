//! The shape of every value.

use candle_core::{DType, Device, Tensor};
use foresee_graph::{
    Binary, Builder, Error, Gemm, Graph, Kind, Op, PoolKind, Split, Unary, Window,
};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn zeros(shape: &[usize]) -> AnyResult<Tensor> {
    Ok(Tensor::zeros(shape, DType::F32, &Device::Cpu)?)
}

/// A convolution, whose channels are split and pooled, and a linear layer.
fn network() -> AnyResult<Graph> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3), None, None])?;
    let w = builder.weight("w", zeros(&[6, 3, 3, 3])?)?;
    let y =
        builder.node("conv", Op::Conv(Window { stride: vec![2, 2], ..Window::new(2) }), &[x, w])?;
    let split = Op::Split(Split { axis: 1, sizes: Some(vec![2, 4]), parts: 2 });
    let parts = builder.push("split", split, vec![Some(y)], &["unread", "part"])?;
    let y = builder.node("pool", Op::GlobalPool(PoolKind::Average), &[parts[1]])?;
    let y = builder.node("flat", Op::Flatten { axis: 1 }, &[y])?;
    let w = builder.weight("fc", zeros(&[4, 10])?)?;
    let y = builder.node("y", Op::Gemm(Gemm::default()), &[y, w])?;
    Ok(builder.finish(vec![y])?)
}

#[test]
fn every_value_has_one() -> AnyResult {
    let graph = network()?;
    let shapes = graph.shapes(2, &[9, 13])?;
    let expected: [(&str, &[usize]); 9] = [
        ("x", &[2, 3, 9, 13]),
        ("w", &[6, 3, 3, 3]),
        ("conv", &[2, 6, 4, 6]),
        ("unread", &[2, 2, 4, 6]),
        ("part", &[2, 4, 4, 6]),
        ("pool", &[2, 4, 1, 1]),
        ("flat", &[2, 4]),
        ("fc", &[4, 10]),
        ("y", &[2, 10]),
    ];
    for (name, shape) in expected {
        assert_eq!(shapes.of(graph.find(name)?), shape, "{name}");
    }
    assert_eq!(expected.len(), graph.values().len());
    Ok(())
}

#[test]
fn sizes_must_be_as_many_as_are_open() -> AnyResult {
    let graph = network()?;
    for sizes in [&[][..], &[9], &[9, 9, 9]] {
        let error = graph.shapes(1, sizes).unwrap_err();
        assert!(matches!(error, Error::Sizes { needed: 2, given } if given == sizes.len()));
    }
    let error = graph.shapes(1, &[2, 9]).unwrap_err().to_string();
    assert!(error.contains("`conv`"), "{error}");
    Ok(())
}

#[test]
fn inputs_can_be_indices_and_conditions() -> AnyResult {
    let mut builder = Builder::new();
    let table = builder.weight("table", zeros(&[7, 5])?)?;
    let tokens = builder.input_of("tokens", Kind::Int, vec![None, Some(4)])?;
    let mask = builder.input_of("mask", Kind::Bool, vec![Some(1), Some(4), Some(1)])?;
    let offset = builder.weight("offset", Tensor::new(&[1i64], &Device::Cpu)?)?;
    let shifted = builder.input_of("shifted", Kind::Int, vec![None])?;
    let index = builder.node("index", Op::Binary(Binary::Add), &[shifted, offset])?;
    let embedded = builder.node("embedded", Op::Gather { axis: 0 }, &[table, tokens])?;
    let zero = builder.weight("zero", zeros(&[])?)?;
    let masked = builder.node("masked", Op::Where, &[mask, embedded, zero])?;
    let open = builder.node("open", Op::Unary(Unary::Not), &[mask])?;
    let rows = builder.node("rows", Op::Gather { axis: 0 }, &[table, index])?;
    let graph = builder.finish(vec![masked, open, rows])?;
    let shapes = graph.shapes(3, &[])?;
    let of = |name: &str| -> AnyResult<&[usize]> { Ok(shapes.of(graph.find(name)?)) };
    assert_eq!((of("masked")?, of("rows")?), (&[3, 4, 5][..], &[3, 5][..]));
    assert_eq!(of("open")?, [1, 4, 1]);
    Ok(())
}

#[test]
fn inputs_that_do_not_fit_are_refused() -> AnyResult {
    let mut builder = Builder::new();
    let tokens = builder.input_of("tokens", Kind::Int, vec![None])?;
    let huge = builder.input("huge", vec![Some(1 << 40), Some(1 << 40)])?;
    let graph = builder.finish(vec![tokens, huge])?;
    let fractions = (tokens, zeros(&[3])?);
    let error = graph.evaluate(&[fractions], &[tokens]).map(drop).unwrap_err().to_string();
    let expected = "the input `tokens` holds integers, but numbers with a fraction are given";
    assert_eq!(error, expected);
    // A size that a damaged file gives takes no memory.
    let error = graph.shapes(1, &[]).unwrap_err();
    assert!(error.to_string().contains("the input `huge`: the result would have"), "{error}");
    Ok(())
}

#[test]
fn ids_of_another_graph_are_refused() -> AnyResult {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None])?;
    let y = builder.node("y", Op::Unary(Unary::Relu), &[x])?;
    let other = builder.clone().node("z", Op::Unary(Unary::Relu), &[y])?;
    let graph = builder.finish(vec![y])?;
    let x = (x, zeros(&[2])?);
    let errors = [
        graph.evaluate(std::slice::from_ref(&x), &[other]).map(drop),
        graph.evaluate(&[x, (other, zeros(&[2])?)], &[y]).map(drop),
        graph.clone().with_weight(other, zeros(&[2])?).map(drop),
        graph.clone().with_input_sizes(other, vec![None]).map(drop),
        graph.clone().with_outputs(vec![other]).map(drop),
        graph.with_one_output(other, 0).map(drop),
        graph.with_channels_first(other).map(drop),
        Builder::new().node("z", Op::Unary(Unary::Relu), &[other]).map(drop),
        Builder::new().finish(vec![other]).map(drop),
    ];
    for error in errors {
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "the graph has no value `number 2 of another graph`");
    }
    Ok(())
}
