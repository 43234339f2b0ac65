//! Pruning of channel groups: takeovers, orders, curves and budgets of graphs.

use candle_core::{DType, Device, Tensor};
use foresee_graph::{
    Builder, ChannelGroup, Graph, Op, Padding, Reduce, Reduction, Removal, Unary, Window,
    attention_network,
};
use foresee_model::{Network, NetworkConfig};
use foresee_perturb::{
    AttentionModel, ChannelStatistics, Error, GatedModel, GroupOrder, GroupRule, GroupStatistics,
    PruneRule, Takeover, Tally, budget_counts, has_takeover, loss_of,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn random(seed: u64, shape: &[usize]) -> AnyResult<Tensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let all: Vec<f64> = (0..shape.iter().product()).map(|_| rng.random_range(-1f64..1.)).collect();
    Ok(Tensor::from_vec(all, shape, &Device::Cpu)?)
}

/// A convolution 3 → 6, of whose channels the last two are mixtures of the others if `mixed`,
/// 6 → 5, a ReLU, the mean of each channel, and 5 → 3 logits.
fn network(mixed: bool) -> AnyResult<Graph> {
    let mut first = random(1, &[6, 3, 3, 3])?;
    let mut bias = random(2, &[6])?;
    if mixed {
        let mixture = random(3, &[2, 4])?;
        let of = |tensor: &Tensor, rows: usize| -> AnyResult<Tensor> {
            let own = tensor.narrow(0, 0, 4)?;
            let others = mixture.matmul(&own.reshape((4, rows))?)?;
            let others = others.reshape([&[2], &tensor.dims()[1..]].concat())?;
            Ok(Tensor::cat(&[own, others], 0)?)
        };
        first = of(&first, 27)?;
        bias = (of(&bias, 1)? + Tensor::new(&[0., 0., 0., 0., 3., -2.], &Device::Cpu)?)?;
    }
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3), Some(6), Some(6)])?;
    let (first, bias) = (builder.weight("first", first)?, builder.weight("bias", bias)?);
    let second = builder.weight("second", random(4, &[5, 6, 3, 3])?)?;
    let last = builder.weight("last", random(5, &[5, 3])?)?;
    let window =
        || Op::Conv(Window { padding: Padding::Explicit(vec![(0, 0); 2]), ..Window::new(2) });
    let x = builder.node("conv1", window(), &[x, first, bias])?;
    let x = builder.node("conv2", window(), &[x, second])?;
    let x = builder.node("relu", Op::Unary(Unary::Relu), &[x])?;
    let mean = Reduce {
        kind: Reduction::Mean,
        axes: Some(vec![2, 3]),
        keep_dims: false,
        empty_is_nothing: false,
    };
    let x = builder.node("mean", Op::Reduce(mean), &[x])?;
    let y = builder.node("logits", Op::MatMul, &[x, last])?;
    Ok(builder.finish(vec![y])?)
}

fn images() -> AnyResult<Tensor> {
    random(9, &[20, 3, 6, 6])
}

fn statistics<'a>(graph: &'a Graph, groups: &[ChannelGroup]) -> AnyResult<GroupStatistics<'a>> {
    let mut statistics = GroupStatistics::new(graph, groups);
    // In two batches.
    statistics.add(&[images()?.narrow(0, 0, 7)?])?;
    statistics.add(&[images()?.narrow(0, 7, 13)?])?;
    Ok(statistics)
}

fn largest_difference(a: &Tensor, b: &Tensor) -> AnyResult<f64> {
    let difference = (a.to_dtype(DType::F64)? - b.to_dtype(DType::F64)?)?.abs()?;
    let all = difference.flatten_all()?.to_vec1::<f64>()?;
    // NaN counts as larger than any number.
    Ok(all.into_iter().max_by(f64::total_cmp).ok_or("no numbers")?)
}

#[test]
fn what_others_can_say_is_not_missed() -> AnyResult {
    let graph = network(true)?;
    let groups = graph.channel_groups(&[])?;
    let statistics = statistics(&graph, &groups)?;
    let removals = [Removal { group: &groups[0], units: &[5, 4] }];
    let x = images()?;
    let whole = graph.forward(std::slice::from_ref(&x))?.remove(0);
    let difference = |takeover| -> AnyResult<f64> {
        let smaller = statistics.cut(&removals, takeover)?;
        largest_difference(&smaller.forward(std::slice::from_ref(&x))?[0], &whole)
    };
    assert!(difference(Takeover::LeastSquares)? < 1e-3);
    let (nothing, partner) = (difference(Takeover::Nothing)?, difference(Takeover::Partner)?);
    assert!(nothing > 0.1 && partner < nothing, "{nothing} {partner}");
    // Both groups at once: the sizes fit.
    let removals =
        [Removal { group: &groups[0], units: &[1] }, Removal { group: &groups[1], units: &[4, 0] }];
    for takeover in Takeover::ALL {
        let smaller = statistics.cut(&removals, takeover)?;
        assert_eq!(smaller.weight(smaller.find("second")?).unwrap().dims(), [3, 5, 3, 3]);
        assert_eq!(smaller.forward(std::slice::from_ref(&x))?[0].dims(), [20, 3]);
    }
    Ok(())
}

fn order(
    rule: PruneRule,
    statistics: &GroupStatistics,
    group: &ChannelGroup,
) -> AnyResult<GroupOrder> {
    Ok(statistics.order(group, GroupRule::Of(rule), None, 0)?)
}

#[test]
fn units_correlate_as_their_samples_do() -> AnyResult {
    let graph = network(false)?;
    let groups = graph.channel_groups(&[])?;
    let statistics = statistics(&graph, &groups)?;
    let value = groups[0].reads[0].value;
    let z = graph.evaluate(&[(graph.inputs()[0], images()?)], &[value])?.remove(0);
    let z = z.transpose(0, 1)?.flatten_from(1)?;
    let z = z.broadcast_sub(&z.mean_keepdim(1)?)?;
    let covariance = (z.matmul(&z.t()?)? / z.dim(1)? as f64)?.to_vec2::<f64>()?;
    let ours = statistics.correlation(&groups[0])?;
    assert_eq!(ours.iter().flatten().count(), 36);
    for (i, row) in ours.iter().enumerate() {
        for (j, rho) in row.iter().enumerate() {
            let expected = covariance[i][j] / (covariance[i][i] * covariance[j][j]).sqrt();
            assert!((rho - expected).abs() < 1e-9);
        }
    }
    let norms = groups[0].filter_norms(&graph)?;
    let order = order(PruneRule::Lower, &statistics, &groups[0])?;
    let pairs = (0..6).flat_map(|i| (i + 1..6).map(move |j| (i, j)));
    let (i, j) = pairs.max_by(|a, b| ours[a.0][a.1].total_cmp(&ours[b.0][b.1])).unwrap();
    assert_eq!(order.order[0], if norms[i] < norms[j] { i } else { j });
    assert_eq!(order.order.len(), 5);
    Ok(())
}

/// Tokens [B, 4, 3] whose 6 queries and keys are multiplied by each other, and 4 answers.
fn attention() -> AnyResult<Graph> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(4), Some(3)])?;
    let [queries, keys] = [("queries", 1), ("keys", 2)].map(|(name, seed)| -> AnyResult<_> {
        let weight = builder.weight(&format!("{name}.weight"), random(seed, &[3, 6])?)?;
        Ok(builder.node(name, Op::MatMul, &[x, weight])?)
    });
    let order = Some(vec![0, 2, 1]);
    let keys = builder.node("turned", Op::Transpose { order }, &[keys?])?;
    let scores = builder.node("scores", Op::MatMul, &[queries?, keys])?;
    let (kind, axes) = (Reduction::Mean, Some(vec![1]));
    let mean = Reduce { kind, axes, keep_dims: false, empty_is_nothing: false };
    let y = builder.node("mean", Op::Reduce(mean), &[scores])?;
    Ok(builder.finish(vec![y])?)
}

/// No order by readout norms or shares, and no takeover, of channels that no weight reads.
#[test]
fn what_says_nothing_of_channels_is_refused() -> AnyResult {
    let graph = attention()?;
    let groups = graph.channel_groups(&[])?;
    let group = groups.iter().find(|group| group.fixed.is_none()).expect("queries and keys");
    assert!((group.units, has_takeover(group)) == (6, false));
    let mut statistics = GroupStatistics::new(&graph, [group]);
    statistics.add(&[random(9, &[8, 4, 3])?])?;
    let rules: Vec<GroupRule> = PruneRule::ALL.map(GroupRule::Of).to_vec();
    let orders = statistics.orders(group, &rules, None, &[0])?;
    let made: Vec<GroupRule> = orders.iter().map(|order| order.rule).collect();
    for rule in rules {
        let says_nothing = matches!(rule, GroupRule::Of(PruneRule::ReadoutNorm | PruneRule::Lasso));
        assert_eq!(statistics.says_nothing(group, rule)?, says_nothing, "{}", rule.id());
        assert_eq!(!made.contains(&rule), says_nothing, "{}", rule.id());
        let order = statistics.order(group, rule, None, 0);
        assert_eq!(matches!(order, Err(Error::Group { .. })), says_nothing, "{}", rule.id());
    }
    // Elsewhere all do.
    let graph = network(false)?;
    let groups = graph.channel_groups(&[])?;
    assert!(has_takeover(&groups[0]));
    assert!(!statistics_say_nothing(&graph, &groups)?);
    Ok(())
}

fn statistics_say_nothing(graph: &Graph, groups: &[ChannelGroup]) -> AnyResult<bool> {
    let statistics = statistics(graph, groups)?;
    let rules = PruneRule::ALL.map(|rule| statistics.says_nothing(&groups[0], GroupRule::Of(rule)));
    Ok(rules.into_iter().collect::<Result<Vec<_>, _>>()?.contains(&true))
}

#[test]
fn losses_are_those_of_the_formulas() -> AnyResult {
    let logits = Tensor::new(&[[2f64, -1., 0.5], [800., -800., 0.]], &Device::Cpu)?;
    let classes = Tensor::new(&[1u32, 0], &Device::Cpu)?;
    let expected = (2f64.exp() + (-1f64).exp() + 0.5f64.exp()).ln() + 1.;
    assert!((loss_of(&logits, &classes)?.to_scalar::<f64>()? - expected).abs() < 1e-12);
    let labels = Tensor::new(&[[1f64, 0., 1.], [1., 0., 0.]], &Device::Cpu)?;
    let log = |x: f64| -(1. / (1. + (-x).exp())).ln();
    let expected = log(2.) + log(1.) + log(0.5) + 2f64.ln();
    assert!((loss_of(&logits, &labels)?.to_scalar::<f64>()? - expected).abs() < 1e-12);
    assert!(loss_of(&logits, &Tensor::new(&[1u32], &Device::Cpu)?).is_err());
    Ok(())
}

#[test]
fn curves_are_those_of_the_whole_networks() -> AnyResult {
    let graph = network(false)?;
    let groups = graph.channel_groups(&[])?;
    let statistics = statistics(&graph, &groups)?;
    let group = &groups[1];
    let terms: &[f64] = &[1., 2., 3., 4., 0.];
    let orders = statistics.orders(group, &GroupRule::all(), Some(terms), &[7])?;
    let ids: Vec<&str> = orders.iter().map(|order| order.rule.id()).collect();
    assert_eq!(ids, ["lower", "higher", "l1", "readout", "lasso", "random", "taylor"]);
    assert_eq!(orders[6].order, [4, 0, 1, 2, 3]);
    assert_eq!(orders[5].seed, Some(7));
    let without = statistics.orders(group, &[GroupRule::Taylor], None, &[7]);
    assert!(matches!(without, Err(Error::Group { .. })));
    let fewer = statistics.orders(group, &[GroupRule::Taylor], Some(&terms[1..]), &[7]);
    assert!(matches!(fewer, Err(Error::Channels { got: 4, channels: 5, .. })));
    let classes = Tensor::from_vec((0..20).map(|i| i % 3).collect::<Vec<u32>>(), 20, &Device::Cpu)?;
    let mut batches = vec![];
    for (from, count) in [(0, 12), (12, 8)] {
        batches.push((images()?.narrow(0, from, count)?, classes.narrow(0, from, count)?));
    }
    let batches = batches.into_iter().map(Ok::<_, Error>);
    let ways = (&Takeover::ALL[..], &[0, 2, 4][..]);
    let curves = statistics.curves(group, &orders, ways, batches)?;
    assert_eq!(curves.len(), 28);
    let mut answers = std::collections::BTreeSet::new();
    for curve in &curves {
        assert_eq!(curve.tallies.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [0, 2, 4]);
        for (count, tally) in &curve.tallies {
            let removal = Removal { group, units: curve.order.pruned(*count) };
            let smaller = statistics.cut(&[removal], curve.takeover)?;
            let logits = smaller.forward(&[images()?])?.remove(0);
            let mut whole = Tally::default();
            whole.add(&logits, &classes)?;
            assert_eq!(tally, &whole);
            answers.insert(tally.ranks.clone());
        }
    }
    // They are not all one network.
    assert!(answers.len() > 10, "{}", answers.len());
    Ok(())
}

#[test]
fn a_budget_is_kept_with_as_few_units_as_it_demands() -> AnyResult {
    let graph = network(false)?;
    let groups = graph.channel_groups(&[])?;
    let statistics = statistics(&graph, &groups)?;
    let of = |group| order(PruneRule::FilterNorm, &statistics, group);
    let orders: Vec<GroupOrder> = groups[..2].iter().map(of).collect::<AnyResult<_>>()?;
    let layers = groups.iter().zip(&orders);
    let layers: Vec<Removal> =
        layers.map(|(group, order)| Removal { group, units: &order.order }).collect();
    let share = |counts: &[usize]| -> AnyResult<f64> {
        let part = |(layer, &count): (&Removal<'_>, &usize)| layer.units[..count].to_vec();
        let units: Vec<Vec<usize>> = layers.iter().zip(counts).map(part).collect();
        let removals = layers.iter().zip(&units);
        let removals: Vec<Removal> =
            removals.map(|(layer, units)| Removal { group: layer.group, units }).collect();
        let macs = |graph: &Graph| -> AnyResult<f64> {
            Ok(graph.cost(&graph.shapes(1, &[])?).macs as f64)
        };
        Ok(macs(&graph.remove_channels(&removals)?)? / macs(&graph)?)
    };
    for operations in [0.9, 0.5, 0.2] {
        let counts = budget_counts(&graph, &layers, operations)?;
        assert!(share(&counts)? <= operations, "{counts:?}");
        // Without the last unit of the layer that has lost the largest share, it is not kept.
        let lost = |at: usize| counts[at] as f64 / layers[at].group.units as f64;
        let last = if lost(0) > lost(1) { 0 } else { 1 };
        let mut fewer = counts.clone();
        fewer[last] -= 1;
        assert!(share(&fewer)? > operations, "{counts:?}");
    }
    for operations in [0.001, -0.1, 1., f64::NAN] {
        let found = budget_counts(&graph, &layers, operations);
        assert!(matches!(found, Err(Error::Parameter { parameter: "operations", .. })));
    }
    Ok(())
}

const K: usize = 3;
const C: usize = 8;

/// The paper's network as a graph is pruned as the paper's network is.
#[test]
fn least_squares_are_those_of_the_papers_network() -> AnyResult {
    let config = NetworkConfig { attributes: K, channels: C, ..Default::default() };
    let network = Network::new(config, 3, &Device::Cpu)?;
    let images = random(6, &[64, 3, 12, 10])?.to_dtype(DType::F32)?;
    // So that the moments of its batch norms are not 0 and 1.
    for _ in 0..20 {
        network.forward_train(&images)?;
    }
    let tensors = network.tensors().into_iter().map(|(name, var)| (name, var.as_tensor().clone()));
    let rows = foresee_kernels::Rows::all(K, C);
    let graph = attention_network(tensors, &[1, 2, 3, 2], Some(&rows))?;
    let z = GatedModel::features(&network, &images)?;

    let groups = graph.channel_groups(&[12, 10])?;
    let group = groups.iter().rfind(|group| group.fixed.is_none()).unwrap();
    assert_eq!((group.units, group.reads.len()), (C, 2));
    let mut ours = GroupStatistics::new(&graph, [group]);
    ours.add(std::slice::from_ref(&images))?;
    let theirs = channel_statistics(&network, &z)?;

    let unpruned = network.logits(&z)?;
    for pruned in [vec![2], vec![7, 0, 4]] {
        for takeover in [Takeover::Nothing, Takeover::LeastSquares] {
            let cut = theirs.cut(&pruned, takeover, false)?;
            let expected = network.logits_of_cuts(&z, &[&cut])?.remove(0);
            let smaller = ours.cut(&[Removal { group, units: &pruned }], takeover)?;
            let got = smaller.forward(std::slice::from_ref(&images))?.remove(0);
            let difference = largest_difference(&got, &expected)?;
            let change = largest_difference(&expected, &unpruned)?;
            let limit = match takeover {
                Takeover::Nothing => 1e-5 * change.max(1.),
                _ => 1e-3 * change,
            };
            assert!(difference < limit, "{takeover:?}: {difference} of {change}");
        }
    }
    Ok(())
}

fn moments(samples: &Tensor) -> AnyResult<(Vec<f64>, Vec<Vec<f64>>)> {
    let samples = samples.to_dtype(DType::F64)?;
    let mean = samples.mean_keepdim(0)?;
    let centred = samples.broadcast_sub(&mean)?;
    let covariance = (centred.t()?.matmul(&centred)? / samples.dim(0)? as f64)?;
    Ok((mean.squeeze(0)?.to_vec1()?, covariance.to_vec2()?))
}

fn table(tensor: &Tensor) -> AnyResult<Vec<Vec<f64>>> {
    Ok(tensor.to_dtype(DType::F64)?.to_vec2()?)
}

fn channel_statistics(network: &Network, z: &Tensor) -> AnyResult<ChannelStatistics> {
    let (means, covariance) = moments(&z.permute((0, 2, 3, 1))?.contiguous()?.reshape(((), C))?)?;
    let pooled = network.heads().pool(z)?;
    let of = |k: usize| moments(&pooled.features.narrow(1, k, 1)?.squeeze(1)?.contiguous()?);
    let of: Vec<_> = (0..K).map(of).collect::<AnyResult<_>>()?;
    let (pooled_means, pooled_covariance) = of.into_iter().unzip();
    let readout = network.heads().readout_weights()?;
    Ok(ChannelStatistics {
        means,
        covariance,
        mean_masks: table(&pooled.masks.mean(0)?)?,
        pooled_means,
        pooled_covariance,
        readout: readout.iter().map(|row| row.iter().map(|&w| f64::from(w)).collect()).collect(),
    })
}
