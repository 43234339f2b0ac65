//! Which values of a network are gates.

use candle_core::{DType, Device, Tensor};
use foresee_graph::{
    Binary, Builder, GateKind, Op, Pool, PoolKind, Softmax, Unary, ValueId, Window,
};

fn scalar(builder: &mut Builder, name: &str, value: f32) -> ValueId {
    builder.weight(name, Tensor::new(value, &Device::Cpu).unwrap()).unwrap()
}

/// Gates of a graph made by `make` from x [B, 4, H, W], with the names of their nodes.
fn gates(make: impl Fn(&mut Builder, ValueId) -> ValueId) -> Vec<(String, GateKind)> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(4), None, None]).unwrap();
    let y = make(&mut builder, x);
    let graph = builder.finish(vec![y]).unwrap();
    let named = |gate: foresee_graph::Gate| (graph.node(gate.node).name.clone(), gate.kind);
    graph.gates().into_iter().map(named).collect()
}

/// Mean over the pixels, then a 1×1 convolution.
fn squeeze(builder: &mut Builder, x: ValueId) -> ValueId {
    let mean = Op::GlobalPool(PoolKind::Average);
    let mean = builder.node("squeeze", mean, &[x]).unwrap();
    let weight = Tensor::ones((4, 4, 1, 1), DType::F32, &Device::Cpu).unwrap();
    let weight = builder.weight("w", weight).unwrap();
    builder.node("excite", Op::Conv(Window::new(2)), &[mean, weight]).unwrap()
}

#[test]
fn squeeze_and_excitation_has_one() {
    let found = gates(|builder, x| {
        let logits = squeeze(builder, x);
        let gate = builder.node("gate", Op::Unary(Unary::Sigmoid), &[logits]).unwrap();
        builder.node("scale", Op::Binary(Binary::Mul), &[gate, x]).unwrap()
    });
    assert_eq!(found, [("gate".into(), GateKind::Sigmoid)]);
}

#[test]
fn a_hard_sigmoid_may_be_written_as_clip_and_division() {
    let by = |op: Binary, factor: f32| {
        gates(move |builder, x| {
            let logits = squeeze(builder, x);
            let three = scalar(builder, "three", 3.);
            let (low, high) = (scalar(builder, "low", 0.), scalar(builder, "high", 6.));
            let factor = scalar(builder, "factor", factor);
            let moved = builder.node("moved", Op::Binary(Binary::Add), &[logits, three]).unwrap();
            let clipped = builder.node("clipped", Op::Clip, &[moved, low, high]).unwrap();
            let gate = builder.node("gate", Op::Binary(op), &[clipped, factor]).unwrap();
            builder.node("scale", Op::Binary(Binary::Mul), &[x, gate]).unwrap()
        })
    };
    let expected = [("gate".to_owned(), GateKind::HardSigmoid)];
    assert_eq!(by(Binary::Div, 6.), expected);
    assert_eq!(by(Binary::Mul, 1. / 6.), expected);
    // From 0 to 3 it is no gate.
    assert_eq!(by(Binary::Div, 2.), []);
}

#[test]
fn activations_and_probabilities_are_none() {
    let hard_swish = gates(|builder, x| {
        let gate = Unary::HardSigmoid { alpha: 1. / 6., beta: 0.5 };
        let gate = builder.node("hard", Op::Unary(gate), &[x]).unwrap();
        builder.node("swish", Op::Binary(Binary::Mul), &[x, gate]).unwrap()
    });
    assert_eq!(hard_swish, []);
    // x·sigmoid(1.702·x), and x·clip(x + 3, 0, 6)/6.
    let quick_gelu = gates(|builder, x| {
        let factor = scalar(builder, "factor", 1.702);
        let scaled = builder.node("scaled", Op::Binary(Binary::Mul), &[factor, x]).unwrap();
        let s = builder.node("s", Op::Unary(Unary::Sigmoid), &[scaled]).unwrap();
        builder.node("gelu", Op::Binary(Binary::Mul), &[x, s]).unwrap()
    });
    assert_eq!(quick_gelu, []);
    let written_out = gates(|builder, x| {
        let (three, six) = (scalar(builder, "three", 3.), scalar(builder, "six", 6.));
        let low = scalar(builder, "low", 0.);
        let moved = builder.node("moved", Op::Binary(Binary::Add), &[x, three]).unwrap();
        let clipped = builder.node("clipped", Op::Clip, &[moved, low, six]).unwrap();
        let s = builder.node("s", Op::Binary(Binary::Div), &[clipped, six]).unwrap();
        builder.node("swish", Op::Binary(Binary::Mul), &[s, x]).unwrap()
    });
    assert_eq!(written_out, []);
    let probability = gates(|builder, x| {
        let logits = squeeze(builder, x);
        let two = scalar(builder, "two", 2.);
        let p = builder.node("p", Op::Unary(Unary::Sigmoid), &[logits]).unwrap();
        builder.node("scaled", Op::Binary(Binary::Mul), &[p, two]).unwrap()
    });
    assert_eq!(probability, []);
}

#[test]
fn attention_branches_and_attention_have_them() {
    // (1 + M)·x, M from a map of one channel.
    let branch = gates(|builder, x| {
        let pool = Pool {
            kind: PoolKind::Max,
            kernel: vec![1, 1],
            window: Window::new(2),
            ceil: false,
            count_include_pad: true,
        };
        let map = builder.node("map", Op::Pool(pool), &[x]).unwrap();
        let mask = builder.node("mask", Op::Unary(Unary::Sigmoid), &[map]).unwrap();
        let one = scalar(builder, "one", 1.);
        let raised = builder.node("raised", Op::Binary(Binary::Add), &[mask, one]).unwrap();
        builder.node("attended", Op::Binary(Binary::Mul), &[raised, x]).unwrap()
    });
    assert_eq!(branch, [("mask".into(), GateKind::Sigmoid)]);
    let attention = gates(|builder, x| {
        let softmax = Softmax { axis: -1, flattens: false, logarithm: false };
        let weights = builder.node("weights", Op::Softmax(softmax), &[x]).unwrap();
        builder.node("mixed", Op::MatMul, &[weights, x]).unwrap()
    });
    assert_eq!(attention, [("weights".into(), GateKind::Softmax)]);
}
