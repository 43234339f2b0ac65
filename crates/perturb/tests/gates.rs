//! Tone curves on the gates of a graph.

use candle_core::{Device, Tensor};
use foresee_graph::{Binary, Builder, Graph, Op, Unary, ValueId};
use foresee_perturb::{
    Error, GatedGraph, GatedModel, Identity, Noise, Only, PowerCurve, ToneCurve, transform_grid,
};

/// Two gates one after the other, x [B, 3, H, W]: h = x·sigmoid(2·tanh(x)),
/// y = h·sigmoid(3·tanh(h)), and the mean over the pixels.
fn network() -> Graph {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3), None, None]).unwrap();
    let gated = |builder: &mut Builder, name: &str, x: ValueId, factor: f32| {
        let factor = Tensor::new(factor, &Device::Cpu).unwrap();
        let factor = builder.weight(&format!("{name}.factor"), factor).unwrap();
        let product = |builder: &mut Builder, name: String, a, b| {
            builder.node(&name, Op::Binary(Binary::Mul), &[a, b]).unwrap()
        };
        let tanh = builder.node(&format!("{name}.tanh"), Op::Unary(Unary::Tanh), &[x]).unwrap();
        let scaled = product(builder, format!("{name}.scaled"), tanh, factor);
        let gate = format!("{name}.gate");
        let gate = builder.node(&gate, Op::Unary(Unary::Sigmoid), &[scaled]).unwrap();
        product(builder, format!("{name}.gated"), x, gate)
    };
    let h = gated(&mut builder, "first", x, 2.);
    let y = gated(&mut builder, "second", h, 3.);
    let mean = Op::GlobalPool(foresee_graph::PoolKind::Average);
    let y = builder.node("mean", mean, &[y]).unwrap();
    let y = builder.node("flat", Op::Flatten { axis: 1 }, &[y]).unwrap();
    builder.finish(vec![y]).unwrap()
}

fn sigmoid(x: f64) -> f64 {
    1. / (1. + (-x).exp())
}

/// The mean over pixels of x·g(sigmoid(2·tanh(x))), then the second gate, by hand.
fn by_hand(pixels: &[f32], first: impl Fn(f64) -> f64, second: impl Fn(f64) -> f64) -> f64 {
    let of = |&x: &f32| {
        let h = f64::from(x) * first(sigmoid(2. * f64::from(x).tanh()));
        h * second(sigmoid(3. * h.tanh()))
    };
    pixels.iter().map(of).sum::<f64>() / pixels.len() as f64
}

/// g(M; 1, β) = (1 + β)·M - β.
fn lowered(beta: f64) -> impl Fn(f64) -> f64 {
    move |mask| (1. + beta) * mask - beta
}

const PIXELS: [f32; 12] = [0.1, -0.4, 2., 1., -3., 0.7, 0.2, 0.9, 0.3, -0.2, 0., 0.5];

fn images() -> Tensor {
    Tensor::new(&PIXELS, &Device::Cpu).unwrap().reshape((1, 3, 2, 2)).unwrap()
}

fn logits(model: &GatedGraph, curve: &dyn ToneCurve) -> Vec<f32> {
    let features = model.features(&images()).unwrap();
    let logits = model.logits_with_curves(&features, &[curve]).unwrap().remove(0);
    logits.flatten_all().unwrap().to_vec1().unwrap()
}

fn close(got: &[f32], expected: impl Fn(usize, &[f32]) -> f64) {
    for (c, (got, pixels)) in got.iter().zip(PIXELS.chunks(4)).enumerate() {
        let expected = expected(c, pixels);
        assert!((f64::from(*got) - expected).abs() < 1e-6, "channel {c}: {got}, not {expected}");
    }
}

#[test]
fn later_gates_see_what_earlier_ones_changed() {
    let graph = network();
    let all = GatedGraph::new(&graph, graph.gates()).unwrap();
    close(&logits(&all, &Identity), |_, x| by_hand(x, |m| m, |m| m));
    let curve = PowerCurve::new(1., 0.2).unwrap();
    close(&logits(&all, &curve), |_, x| by_hand(x, lowered(0.2), lowered(0.2)));
    // The second gate alone, and of it the third channel.
    let second = GatedGraph::new(&graph, graph.gates().split_off(1)).unwrap();
    close(&logits(&second, &curve), |_, x| by_hand(x, |m| m, lowered(0.2)));
    let third = Only::new(curve, Some(vec![1]), Some(vec![2]));
    close(&logits(&all, &third), |c, x| {
        by_hand(x, |m| m, if c == 2 { lowered(0.2) } else { lowered(0.) })
    });
}

#[test]
fn a_grid_of_noise_and_curves_is_tallied() {
    let graph = network();
    let model = GatedGraph::new(&graph, graph.gates()).unwrap();
    let noise =
        Noise { sigma: 0., clip: false, mean: vec![0.; 3], deviation: vec![1.; 3], seed: 3 };
    let above = |logits: &[f32]| -> Vec<f32> {
        logits.iter().map(|l| f32::from(u8::from(*l > 0.))).collect()
    };
    let expected: Vec<f32> = above(&logits(&model, &Identity));
    let labels = Tensor::from_vec(expected.clone(), (1, 3), &Device::Cpu).unwrap();
    let strong = Only::new(PowerCurve::new(1., 5.).unwrap(), Some(vec![1]), None);
    let curves: [&dyn ToneCurve; 2] = [&Identity, &strong];
    let batches = std::iter::once(Ok::<_, Error>((images(), labels, vec![0])));
    let tallies = transform_grid(&model, &noise, &[0., 2.], &curves, batches).unwrap();
    assert_eq!((tallies.len(), tallies[0].len()), (2, 2));
    assert_eq!(tallies[0][0].accuracy(), 1.);
    // Under the curve the answers are those of its own logits.
    let under = above(&logits(&model, &strong));
    assert_ne!(under, expected);
    let alike = expected.iter().zip(&under).filter(|(a, b)| a == b).count();
    assert!((tallies[0][1].accuracy() - alike as f64 / 3.).abs() < 1e-6);
}
