//! Forecasts of what pruning a layer of a graph does.
#![cfg(feature = "graph")]

use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Binary, Builder, ChannelGroup, Graph, Op, PoolKind, Split, Unary, Window};
use foresee_perturb::{GroupStatistics, Takeover, UnitMasks};
use foresee_predict::{
    Answers, ForecastRule, Layer, LayerForecasts, LayerStudy, LayerStudySettings, Matrix,
    NetworkOperation, Pruned, ScoreRule, ScoredForecast, Subject, second_order_change,
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
    let x = builder.input("x", vec![None, Some(8), Some(4), Some(4)]).unwrap();
    let mut z = x;
    for (name, inputs, outputs, seed) in [("first", 8, 6, 1), ("second", 6, 5, 2)] {
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

fn statistics<'a>(
    graph: &'a Graph,
    groups: &[ChannelGroup],
    images: &[Tensor],
) -> GroupStatistics<'a> {
    let mut statistics = GroupStatistics::new(graph, groups);
    images.iter().for_each(|images| statistics.add(std::slice::from_ref(images)).unwrap());
    statistics
}

/// Prunes two shares of each layer of a network.
fn study(graph: &Graph, takeover: Takeover) -> LayerForecasts {
    let found = study_of(graph, takeover, &[0.5, 0.2], &[0.5]);
    let pruned: Vec<(usize, usize)> = found.outcomes.iter().map(|o| (o.units, o.pruned)).collect();
    assert_eq!(pruned[..4], [(6, 1), (6, 3), (5, 1), (5, 3)]);
    assert_eq!((pruned.len(), pruned[4].0), (5, 11));
    assert_eq!(found.outcomes[4].what, Pruned::Together { operations: 0.5 });
    found
}

fn study_of(graph: &Graph, takeover: Takeover, shares: &[f64], budgets: &[f64]) -> LayerForecasts {
    let groups = groups(graph);
    assert_eq!(groups.iter().map(|group| group.units).collect::<Vec<_>>(), [6, 5]);
    let images = numbers(&[12, 8, 4, 4], 5);
    let order: Vec<usize> = (0..6).collect();
    let norms = [1., 2., 3., 4., 5., 6.];
    let layer = |group| Layer { group, order: &order[..group.units], norms: &norms };
    let layers: Vec<Layer> = groups.iter().map(layer).collect();
    let batches = [images.narrow(0, 0, 8).unwrap(), images.narrow(0, 8, 4).unwrap()];
    let judge = |logits: &Matrix| {
        let right = (0..logits.rows()).filter(|&i| logits.get(i, 0) > logits.get(i, 1)).count();
        right as f64 / logits.rows() as f64
    };
    let ran = AtomicUsize::new(0);
    let study = LayerStudy {
        graph,
        layers: &layers,
        // Of other images.
        statistics: &statistics(graph, &groups, &[numbers(&[40, 8, 4, 4], 6)]),
        batches: &batches,
        judge: Some(&judge),
        settings: LayerStudySettings {
            shares: shares.to_vec(),
            budgets: budgets.to_vec(),
            takeover,
            outputs: vec![0, 1, 2],
            answers: Answers::Each,
            resamples: 50,
            seed: 1,
        },
        progress: &|images| _ = ran.fetch_add(images, Ordering::Relaxed),
    };
    let found = study.run().unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 12 * study.passes());
    assert!(found.skipped.is_empty());
    found
}

fn score(scores: &[ScoredForecast], rule: ForecastRule, score: ScoreRule) -> Option<f64> {
    let subject = Subject::Forecast(rule);
    let of = |row: &&ScoredForecast| row.subject == subject && row.score == score;
    scores.iter().find(of).map(|row| row.value.interval.estimate)
}

fn skill(scores: &[ScoredForecast], rule: ForecastRule) -> Option<f64> {
    score(scores, rule, ScoreRule::Skill)
}

/// 0.6 of 6 channels are 4, of 5 channels 3: the share is the strength, not the number.
#[test]
fn layers_of_other_widths_are_ranked_by_the_share_that_goes() {
    let graph = network(true);
    let found = study_of(&graph, Takeover::Nothing, &[0.6], &[]);
    let pruned: Vec<usize> = found.outcomes.iter().map(|outcome| outcome.pruned).collect();
    assert_eq!(pruned, [4, 3]);
    let rank = score(&found.scores, ForecastRule::FirstOrder, ScoreRule::RankOfOperations);
    assert!(rank.is_some_and(|rank| rank.abs() == 1.), "{rank:?}");
}

#[test]
fn forecasts_stand_beside_what_came_and_are_scored() {
    let LayerForecasts { outcomes, scores, .. } = study(&network(true), Takeover::Nothing);
    for outcome in &outcomes {
        let second_order = outcome.second_order.unwrap();
        for effect in [outcome.first_order, second_order, outcome.observed] {
            assert!(effect.change > 0. && (0. ..=1.).contains(&effect.accuracy.unwrap()));
        }
    }
    // The channels of the second layer are read by linear layers alone: the forecasts are exact.
    for outcome in &outcomes[2..4] {
        for forecast in [outcome.first_order, outcome.second_order.unwrap()] {
            assert!((outcome.observed.change - forecast.change).abs() < 1e-10);
            assert_eq!(outcome.observed.flips, forecast.flips);
            assert_eq!(outcome.observed.accuracy, forecast.accuracy);
        }
    }
    assert!(skill(&scores, ForecastRule::FirstOrder).unwrap() > 0.5);
    assert!(skill(&scores, ForecastRule::Nothing).unwrap() <= 0.);
    for rule in [
        ForecastRule::SecondOrder,
        ForecastRule::LinearProbe,
        ForecastRule::Contribution,
        ForecastRule::FilterNorm,
        ForecastRule::Uniqueness,
        ForecastRule::UniquenessTimesContribution,
    ] {
        assert!(skill(&scores, rule.clone()).is_some(), "{rule}");
    }
    assert!(scores.iter().all(|row| row.operation == NetworkOperation::PruneLayer));
}

#[test]
fn of_a_linear_network_a_takeover_is_forecast_exactly() {
    for takeover in [Takeover::Partner, Takeover::LeastSquares] {
        let LayerForecasts { outcomes, scores, .. } = study(&network(false), takeover);
        // One layer alone is linear, and two are not.
        let together = &outcomes[4];
        assert!(together.first_order.change > 1e-6 && together.second_order.is_none());
        assert!((together.observed.change - together.first_order.change).abs() > 1e-6);
        for outcome in &outcomes[..4] {
            assert_eq!(outcome.second_order, None);
            let (forecast, observed) = (outcome.first_order, outcome.observed);
            assert!(observed.change > 1e-6, "{takeover:?}");
            assert!((observed.change - forecast.change).abs() < 1e-9 * observed.change.max(1.));
            assert_eq!(observed.flips, forecast.flips);
        }
        assert!(skill(&scores, ForecastRule::FirstOrder).unwrap() > 1. - 1e-9);
        assert!(skill(&scores, ForecastRule::SecondOrder).is_none());
        let operation = NetworkOperation::PruneLayerWithTakeover;
        assert!(scores.iter().all(|row| row.operation == operation));
    }
}

/// Of a linear network, one layer's masks change the outputs linearly, and those of two layers by a
/// quadratic function.
#[test]
fn of_a_linear_network_layers_are_forecast_exactly() {
    let LayerForecasts { outcomes, .. } = study(&network(false), Takeover::Nothing);
    for outcome in &outcomes {
        let (second, observed) = (outcome.second_order.unwrap(), outcome.observed);
        assert!(observed.change > 1e-3);
        assert!((observed.change - second.change).abs() < 1e-10);
        assert_eq!((observed.flips, observed.accuracy), (second.flips, second.accuracy));
    }
    for outcome in &outcomes[..4] {
        assert!((outcome.observed.change - outcome.first_order.change).abs() < 1e-10);
    }
    let together = &outcomes[4];
    assert!((together.observed.change - together.first_order.change).abs() > 1e-3);
}

#[test]
fn a_budget_that_cannot_be_kept_is_skipped() {
    let graph = network(true);
    let groups = groups(&graph);
    let images = [numbers(&[4, 8, 4, 4], 5)];
    let layers = [Layer { group: &groups[0], order: &[0, 1, 2, 3, 4, 5], norms: &[1.; 6] }];
    let study = LayerStudy {
        graph: &graph,
        layers: &layers,
        statistics: &statistics(&graph, &groups, &images),
        batches: &images,
        judge: None,
        settings: LayerStudySettings {
            shares: vec![0.5],
            budgets: vec![0.001],
            takeover: Takeover::Nothing,
            outputs: vec![0, 1],
            answers: Answers::One,
            resamples: 10,
            seed: 1,
        },
        progress: &|_| (),
    };
    let found = study.run().unwrap();
    assert_eq!(found.outcomes.len(), 1);
    let skipped = found.skipped[0].to_string();
    assert!(skipped.starts_with("prune all layers, to 0.1 % of the operations"), "{skipped}");
}

/// y = (x·A)²·B: quadratic in masks on the hidden channels, which the product reads.
fn quadratic() -> Graph {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3)]).unwrap();
    let first = builder.weight("first", numbers(&[3, 5], 1)).unwrap();
    let hidden = builder.node("hidden", Op::MatMul, &[x, first]).unwrap();
    let second = builder.weight("second", numbers(&[5, 2], 2)).unwrap();
    let sums = builder.node("sums", Op::MatMul, &[hidden, second]).unwrap();
    let y = builder.node("y", Op::Binary(Binary::Mul), &[sums, sums]).unwrap();
    builder.finish(vec![y]).unwrap()
}

/// Two residual blocks with tanh.
fn residual() -> Graph {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3)]).unwrap();
    let product = |builder: &mut Builder, name: &str, x, shape: [usize; 2], seed| {
        let weight = builder.weight(&format!("{name}.weight"), numbers(&shape, seed)).unwrap();
        builder.node(name, Op::MatMul, &[x, weight]).unwrap()
    };
    let mut z = product(&mut builder, "stem", x, [3, 4], 1);
    for block in 0..2 {
        let name = |part: &str| format!("{part}{block}");
        let a = product(&mut builder, &name("first"), z, [4, 5], 2 + 2 * block);
        let a = builder.node(&name("tanh"), Op::Unary(Unary::Tanh), &[a]).unwrap();
        let b = product(&mut builder, &name("second"), a, [5, 4], 3 + 2 * block);
        z = builder.node(&name("sum"), Op::Binary(Binary::Add), &[z, b]).unwrap();
    }
    let y = product(&mut builder, "readout", z, [4, 2], 9);
    builder.finish(vec![y]).unwrap()
}

/// The largest errors of the first and of the second order, of the way `far` to pruned units.
fn errors(graph: &Graph, group: &ChannelGroup, units: &[usize], far: f64) -> [f64; 2] {
    let images = numbers(&[6, 3], 4);
    let masks = UnitMasks::new(graph, &[group]).unwrap();
    let at = |m: f64| {
        let outputs = masks.outputs_at(std::slice::from_ref(&images), &[(0, units)], m).unwrap();
        Matrix::from_rows(&rows(&outputs[0]))
    };
    let before = at(1.);
    let change = |after: Matrix| {
        Matrix::from_fn(after.rows(), after.columns(), |i, k| after.get(i, k) - before.get(i, k))
    };
    let pass = masks.pass(std::slice::from_ref(&images)).unwrap();
    let of_output = |k: usize| {
        let f = pass.outputs()[0].narrow(1, k, 1).unwrap().sum_all().unwrap();
        pass.gradients(&f).unwrap().of_group(0).unwrap()
    };
    let contributions = [of_output(0), of_output(1)];
    let missing = |i: usize, k: usize| -units.iter().map(|&u| contributions[k][i][u]).sum::<f64>();
    let slope = Matrix::from_fn(before.rows(), before.columns(), |i, k| far * missing(i, k));
    let share = LayerStudy::PROBE;
    let second = second_order_change(&slope, &change(at(1. - share * far)), share);
    let came = change(at(1. - far));
    let largest = |forecast: &Matrix| {
        let error = |i: usize, k: usize| (forecast.get(i, k) - came.get(i, k)).abs();
        let all = (0..came.rows()).flat_map(|i| (0..came.columns()).map(move |k| (i, k)));
        all.map(|(i, k)| error(i, k)).max_by(f64::total_cmp).unwrap_or(0.)
    };
    [largest(&slope), largest(&second)]
}

#[test]
fn the_second_order_is_exact_where_a_network_is_quadratic() {
    let graph = quadratic();
    let groups = groups(&graph);
    assert_eq!(groups[0].units, 5);
    for units in [vec![1], vec![0, 2, 4]] {
        let [first, second] = errors(&graph, &groups[0], &units, 1.);
        assert!(first > 1e-2 && second < 1e-12, "{first} {second}");
    }
}

#[test]
fn the_second_orders_error_is_of_third_order() {
    let graph = residual();
    let groups = groups(&graph);
    assert_eq!(groups[0].units, 4);
    let at = |far| errors(&graph, &groups[0], &[0, 3], far);
    for far in [0.04, 0.02] {
        let [first, second] = at(far);
        let [first_of_half, second_of_half] = at(far / 2.);
        // Half of the way: a fourth, and an eighth.
        assert!((first / first_of_half - 4.).abs() < 0.4, "{}", first / first_of_half);
        assert!((second / second_of_half - 8.).abs() < 0.8, "{}", second / second_of_half);
        assert!(second < 0.1 * first);
    }
}

/// A convolution to 6 channels of which each half is read by one more, and their sum.
fn split() -> Graph {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(2), Some(4), Some(4)]).unwrap();
    let convolution = |builder: &mut Builder, name: &str, x, shape: [usize; 4]| {
        let weight = builder.weight(&format!("{name}.weight"), numbers(&shape, 4)).unwrap();
        builder.node(name, Op::Conv(Window::new(2)), &[x, weight]).unwrap()
    };
    let z = convolution(&mut builder, "first", x, [6, 2, 1, 1]);
    let split = Op::Split(Split { axis: 1, sizes: Some(vec![3, 3]), parts: 2 });
    let halves = builder.push("split", split, vec![Some(z)], &["low", "high"]).unwrap();
    let low = convolution(&mut builder, "low.conv", halves[0], [2, 3, 1, 1]);
    let high = convolution(&mut builder, "high.conv", halves[1], [2, 3, 1, 1]);
    let z = builder.node("sum", Op::Binary(Binary::Add), &[low, high]).unwrap();
    let z = builder.node("mean", Op::GlobalPool(PoolKind::Average), &[z]).unwrap();
    let y = builder.node("y", Op::Flatten { axis: 1 }, &[z]).unwrap();
    builder.finish(vec![y]).unwrap()
}

#[test]
fn what_cannot_be_pruned_is_skipped() {
    let graph = split();
    let groups = groups(&graph);
    assert_eq!(groups[0].units, 6);
    let images = [numbers(&[4, 2, 4, 4], 5)];
    let statistics = statistics(&graph, &groups, &images);
    let study = |shares: Vec<f64>| {
        let order = [0, 1, 2, 3, 4, 5];
        let layers = [Layer { group: &groups[0], order: &order, norms: &[1.; 6] }];
        let settings = LayerStudySettings {
            shares,
            budgets: vec![],
            takeover: Takeover::Nothing,
            outputs: vec![0, 1],
            answers: Answers::One,
            resamples: 10,
            seed: 1,
        };
        let study = LayerStudy {
            graph: &graph,
            layers: &layers,
            statistics: &statistics,
            batches: &images,
            judge: None,
            settings,
            progress: &|_| (),
        };
        study.run()
    };
    // Nothing of one half would be left at 3 units.
    let found = study(vec![0.2, 0.5]).unwrap();
    assert_eq!(found.outcomes.iter().map(|outcome| outcome.pruned).collect::<Vec<_>>(), [1]);
    assert_eq!(found.skipped.len(), 1);
    assert!(found.skipped[0].to_string().starts_with("prune 3 channels of `first`"));
    let error = study(vec![0.5]).unwrap_err();
    assert!(error.to_string().starts_with("prune 3 channels of `first`"), "{error}");
}
