//! Forecasts of what pruning a layer of a graph does.
#![cfg(feature = "graph")]

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Builder, ChannelGroup, Graph, Op, PoolKind, Removal, Unary, Window};
use foresee_predict::{
    Answers, Contributions, ForecastRule, Layer, LayerStudy, LayerStudySettings, Matrix, ScoreRule,
    Subject,
};

/// Numbers between -1 and 1 that look random.
fn numbers(shape: &[usize], seed: u64) -> Tensor {
    let count: usize = shape.iter().product();
    let number = |i: usize| ((i as f64 + 1.) * 12.9898 * (seed as f64 + 1.)).sin() * 43758.5453;
    let values: Vec<f64> = (0..count).map(|i| 2. * number(i).rem_euclid(1.) - 1.).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Two convolutions, a mean over the pixels, and a linear layer; with ReLUs or linear.
fn network(has_relus: bool) -> Graph {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(2), Some(4), Some(4)]).unwrap();
    let mut z = x;
    for (name, inputs, outputs, seed) in [("first", 2, 6, 1), ("second", 6, 5, 2)] {
        let weight = numbers(&[outputs, inputs, 1, 1], seed);
        let weight = builder.weight(&format!("{name}.weight"), weight).unwrap();
        z = builder.node(name, Op::Conv(Window::new(2)), &[z, weight]).unwrap();
        if has_relus {
            let relu = Op::Unary(Unary::Relu);
            z = builder.node(&format!("{name}.relu"), relu, &[z]).unwrap();
        }
    }
    let z = builder.node("mean", Op::GlobalPool(PoolKind::Average), &[z]).unwrap();
    let z = builder.node("flat", Op::Flatten { axis: 1 }, &[z]).unwrap();
    let weight = builder.weight("readout", numbers(&[5, 3], 3)).unwrap();
    let y = builder.node("y", Op::MatMul, &[z, weight]).unwrap();
    builder.finish(vec![y]).unwrap()
}

fn groups(graph: &Graph) -> Vec<ChannelGroup> {
    let groups = graph.channel_groups(&[]).unwrap().into_iter();
    groups.filter(|group| group.fixed.is_none()).collect()
}

fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    tensor.to_dtype(DType::F64).unwrap().to_vec2().unwrap()
}

#[test]
fn of_a_linear_network_the_first_order_is_all_there_is() {
    let graph = network(false);
    let images = numbers(&[4, 2, 4, 4], 9);
    let before = rows(&graph.forward(std::slice::from_ref(&images)).unwrap()[0]);
    for group in groups(&graph) {
        let all =
            Contributions::measure(&graph, &group, std::slice::from_ref(&images), &[0, 2]).unwrap();
        for units in [vec![0], vec![1, 3], vec![0, 2, 4]] {
            let removal = Removal { group: &group, units: &units };
            let smaller = graph.remove_channels(&[removal]).unwrap();
            let after = rows(&smaller.forward(std::slice::from_ref(&images)).unwrap()[0]);
            let expected = all.change(&units);
            for (image, (before, after)) in before.iter().zip(&after).enumerate() {
                for (place, output) in [0, 2].into_iter().enumerate() {
                    let change = after[output] - before[output];
                    assert!((expected.get(image, place) - change).abs() < 1e-12);
                }
            }
        }
    }
}

#[test]
fn forecasts_stand_beside_what_came_and_are_scored() {
    let graph = network(true);
    let groups = groups(&graph);
    assert_eq!(groups.iter().map(|group| group.units).collect::<Vec<_>>(), [6, 5]);
    let images = numbers(&[12, 2, 4, 4], 5);
    let order: Vec<usize> = (0..6).collect();
    let norms = [1., 2., 3., 4., 5., 6.];
    let layers: Vec<Layer> = groups
        .iter()
        .map(|group| Layer { group, order: &order[..group.units], norms: &norms })
        .collect();
    let batches = [images.narrow(0, 0, 8).unwrap(), images.narrow(0, 8, 4).unwrap()];
    let judge = |logits: &Matrix| {
        let right = (0..logits.rows()).filter(|&i| logits.get(i, 0) > logits.get(i, 1)).count();
        right as f64 / logits.rows() as f64
    };
    let ran = std::sync::atomic::AtomicUsize::new(0);
    let study = LayerStudy {
        graph: &graph,
        layers: &layers,
        batches: &batches,
        judge: Some(&judge),
        settings: LayerStudySettings {
            shares: vec![0.2, 0.5],
            outputs: vec![0, 1, 2],
            answers: Answers::Each,
            resamples: 50,
            seed: 1,
        },
        progress: &|images| _ = ran.fetch_add(images, std::sync::atomic::Ordering::Relaxed),
    };
    let (outcomes, scored) = study.run().unwrap();
    assert_eq!(ran.load(std::sync::atomic::Ordering::Relaxed), 12 * study.passes());
    let pruned: Vec<(usize, usize)> = outcomes.iter().map(|o| (o.units, o.pruned)).collect();
    assert_eq!(pruned, [(6, 1), (6, 3), (5, 1), (5, 3)]);
    for outcome in &outcomes {
        assert!(outcome.change > 0. && outcome.change_forecast > 0.);
        let accuracies = [outcome.accuracy_before, outcome.accuracy_forecast, outcome.accuracy];
        assert!(accuracies.iter().flatten().all(|a| (0. ..=1.).contains(a)));
        assert!(accuracies.iter().all(Option::is_some));
    }
    // The channels of the second layer are read by linear layers alone: the forecast is exact.
    for outcome in &outcomes[2..] {
        assert!((outcome.change - outcome.change_forecast).abs() < 1e-6);
        assert_eq!(outcome.accuracy, outcome.accuracy_forecast);
    }
    let skill = |rule: ForecastRule| {
        let of = |row: &&foresee_predict::ScoredForecast| {
            row.subject == Subject::Forecast(rule.clone()) && row.score == ScoreRule::Skill
        };
        scored.iter().find(of).expect("a score").value.interval.estimate
    };
    assert!(skill(ForecastRule::FirstOrder) > 0.5);
    assert!(skill(ForecastRule::Nothing) <= 0.);
}
