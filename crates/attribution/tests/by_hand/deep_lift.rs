//! DeepLIFT of networks that say the same in other nodes.

use candle_core::{DType, Device, Tensor};
use foresee_attribution::*;
use foresee_graph::{
    Binary, Builder, Gemm, Op, PadMode, Padding, Pool, PoolKind, Unary, ValueId, Window,
};

use crate::{AnyResult, assert_near, tensor, values};

/// Numbers between -1 and 1 that follow no line.
fn numbers(seed: usize, shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let number = |i: usize| (12.9898 * (i + 1) as f64 + 78.233 * seed as f64).sin() * 43758.5453;
    tensor(&(0..count).map(|i| 2. * number(i).rem_euclid(1.) - 1.).collect::<Vec<_>>(), shape)
}

fn reveal_cancel() -> DeepLift {
    DeepLift { rule: DeepLiftRule::RevealCancel, named: vec![] }
}

fn number(builder: &mut Builder, name: &str, value: f64) -> AnyResult<ValueId> {
    Ok(builder.weight(name, Tensor::new(value, &Device::Cpu)?)?)
}

/// What moves, averages or adds constants keeps positive and negative contributions apart, so that
/// the ReLU behind it adds up.
#[test]
fn contributions_of_both_signs_go_through_pools_pads_and_sums() -> AnyResult {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(2), Some(5), Some(5)])?;
    let first = builder.weight("first.weight", numbers(1, &[3, 2, 2, 2]))?;
    let pads = builder.weight("pads", Tensor::new(&[0i64, 0, 1, 1, 0, 0, 1, 1], &Device::Cpu)?)?;
    let around = number(&mut builder, "around", 0.3)?;
    let shift = builder.weight("shift", numbers(2, &[3, 1, 1]))?;
    let last = builder.weight("last.weight", numbers(3, &[12, 2]))?;
    let window = Window { padding: Padding::Explicit(vec![(0, 0); 2]), ..Window::new(2) };
    let a = builder.node("first", Op::Conv(window), &[x, first])?;
    let a = builder.node("padded", Op::Pad(PadMode::Constant), &[a, pads, around])?;
    let pool = Pool {
        kind: PoolKind::Average,
        kernel: vec![3, 3],
        window: Window { stride: vec![3, 3], ..Window::new(2) },
        ceil: false,
        count_include_pad: false,
    };
    let a = builder.node("pool", Op::Pool(pool), &[a])?;
    let a = builder.node("shifted", Op::Binary(Binary::Sub), &[a, shift])?;
    let a = builder.node("relu", Op::Unary(Unary::Relu), &[a])?;
    let a = builder.node("flat", Op::Flatten { axis: 1 }, &[a])?;
    let y = builder.node("last", Op::MatMul, &[a, last])?;
    let model = GraphModel::new(builder.finish(vec![y])?, y)?;
    let (x, baseline) = (numbers(4, &[3, 2, 5, 5]), numbers(5, &[3, 2, 5, 5]));
    let rescale = model.deep_lift(&x, 0, Some(&baseline), &DeepLift::default())?;
    let found = model.deep_lift(&x, 0, Some(&baseline), &reveal_cancel())?;
    assert_near(&rescale.convergence_delta, &[0.; 3]);
    assert_near(&found.convergence_delta, &[0.; 3]);
    let apart = (found.attribution - rescale.attribution)?.abs()?.max_all()?;
    assert!(apart.to_scalar::<f64>()? > 1e-3);
    Ok(())
}

#[test]
fn a_bias_of_its_own_changes_nothing() -> AnyResult {
    let network = |apart: bool| -> AnyResult<GraphModel> {
        let mut builder = Builder::new();
        let x = builder.input("x", vec![None, Some(4)])?;
        let mut at = x;
        for (layer, shape) in [[4, 5], [5, 2]].into_iter().enumerate() {
            let name = |part: &str| format!("{part}{layer}");
            let weight = builder.weight(&name("weight"), numbers(layer, &shape))?;
            let bias = builder.weight(&name("bias"), numbers(layer + 7, &shape[1..]))?;
            at = match apart {
                false => {
                    builder.node(&name("linear"), Op::Gemm(Gemm::default()), &[at, weight, bias])?
                }
                true => {
                    let product = builder.node(&name("linear"), Op::MatMul, &[at, weight])?;
                    builder.node(&name("sum"), Op::Binary(Binary::Add), &[bias, product])?
                }
            };
            if layer == 0 {
                at = builder.node("relu", Op::Unary(Unary::Relu), &[at])?;
            }
        }
        Ok(GraphModel::new(builder.finish(vec![at])?, at)?)
    };
    let x = numbers(11, &[3, 4]);
    let of = |apart| -> AnyResult<Vec<f64>> {
        Ok(values(&network(apart)?.deep_lift(&x, 1, None, &reveal_cancel())?.attribution))
    };
    assert_near(&of(true)?, &of(false)?);
    Ok(())
}

/// The activation, as one node or as exporters write it out.
fn activated(written_out: Option<Unary>, one: Unary) -> AnyResult<GraphModel> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(4)])?;
    let (first, last) = (numbers(1, &[4, 3]), numbers(2, &[3, 2]));
    let (first, last) = (builder.weight("first.weight", first)?, builder.weight("w", last)?);
    let x = builder.node("first", Op::MatMul, &[x, first])?;
    let a = match written_out {
        None => builder.node("activation", Op::Unary(one), &[x])?,
        // x·(1 + erf(x/√2))·½
        Some(Unary::Erf) => {
            let (root, half) = (number(&mut builder, "root", 2f64.sqrt())?, 0.5);
            let (one, half) = (number(&mut builder, "1", 1.)?, number(&mut builder, "½", half)?);
            let s = builder.node("divided", Op::Binary(Binary::Div), &[x, root])?;
            let s = builder.node("erf", Op::Unary(Unary::Erf), &[s])?;
            let s = builder.node("sum", Op::Binary(Binary::Add), &[s, one])?;
            let s = builder.node("product", Op::Binary(Binary::Mul), &[x, s])?;
            builder.node("activation", Op::Binary(Binary::Mul), &[s, half])?
        }
        // x·tanh(softplus(x))
        Some(inner) => {
            let s = builder.node("softplus", Op::Unary(Unary::Softplus), &[x])?;
            let s = builder.node("inner", Op::Unary(inner), &[s])?;
            builder.node("activation", Op::Binary(Binary::Mul), &[s, x])?
        }
    };
    let y = builder.node("last", Op::MatMul, &[a, last])?;
    Ok(GraphModel::new(builder.finish(vec![y])?, y)?)
}

#[test]
fn activations_that_are_written_out_are_the_same() -> AnyResult {
    let x = numbers(3, &[3, 4]);
    for (out, one) in [(Unary::Erf, Unary::Gelu), (Unary::Tanh, Unary::Mish)] {
        let (one, out) = (activated(None, one)?, activated(Some(out), one)?);
        let of = |model: &GraphModel| -> AnyResult<[Vec<f64>; 2]> {
            let lifted = model.deep_lift(&x, 0, None, &DeepLift::default())?;
            assert_near(&lifted.convergence_delta, &[0.; 3]);
            Ok([values(&lifted.attribution), values(&model.guided_backprop(&x, 0)?)])
        };
        let (one, out) = (of(&one)?, of(&out)?);
        assert_near(&out[0], &one[0]);
        assert_near(&out[1], &one[1]);
    }
    Ok(())
}

#[test]
fn single_precision_is_near() -> AnyResult {
    let model = activated(Some(Unary::Erf), Unary::Gelu)?;
    let x = numbers(3, &[3, 4]);
    let exact = model.deep_lift(&x, 0, None, &DeepLift::default())?;
    let mut graph = model.graph().clone();
    let ids: Vec<ValueId> = graph.values().map(|(id, _)| id).collect();
    for id in ids {
        if let Some(weight) = graph.weight(id).cloned() {
            graph = graph.with_weight(id, weight.to_dtype(DType::F32)?)?;
        }
    }
    let single = GraphModel::new(graph, model.output())?;
    let found = single.deep_lift(&x.to_dtype(DType::F32)?, 0, None, &DeepLift::default())?;
    let found = values(&found.attribution.to_dtype(DType::F64)?);
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-5;
    assert!(found.iter().zip(&values(&exact.attribution)).all(near), "{found:?}");
    Ok(())
}
