//! Derivatives with respect to masks on units, against central differences.

mod networks;

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Binary, Builder, ChannelGroup, Graph, Op, Split, ValueId};
use foresee_perturb::{
    Error, GroupRule, GroupStatistics, PruneRule, Takeover, Taylor, UnitMasks, loss_of,
};
use networks::{AnyResult, convolution, copies, free, largest, mean, random, residual, tokens};

/// The graph with the weights scaled by which a unit is read: what a mask on the unit does.
fn scaled(graph: &Graph, group: &ChannelGroup, unit: usize, by: f64) -> AnyResult<Graph> {
    let mut graph = graph.clone();
    for read in &group.reads {
        for consumer in &read.consumers {
            let weight = consumer.weight.ok_or("is read without a weight")?;
            let value = graph.weight(weight.value).ok_or("no weight")?.clone();
            let scale = |c: usize| if read.units[unit].contains(&c) { by } else { 1. };
            let mut shape = vec![1; value.rank()];
            shape[weight.axis] = read.places.len();
            let scale: Vec<f64> = read.places.iter().map(|&c| scale(c)).collect();
            let scale = Tensor::from_vec(scale, shape, &Device::Cpu)?;
            graph = graph.with_weight(weight.value, value.broadcast_mul(&scale)?)?;
        }
    }
    Ok(graph)
}

/// Compares all derivatives of the outputs' sum, weighted so that none cancel; returns how many.
fn compare(graph: &Graph, images: &Tensor) -> AnyResult<usize> {
    let groups = free(graph)?;
    let of: Vec<&ChannelGroup> = groups.iter().collect();
    let masks = UnitMasks::new(graph, &of)?;
    let outputs = graph.forward(std::slice::from_ref(images))?[0].dim(1)?;
    let weights = Tensor::arange(1f64, outputs as f64 + 1., &Device::Cpu)?;
    let by_image =
        |logits: &Tensor| -> AnyResult<Tensor> { Ok(logits.broadcast_mul(&weights)?.sum(1)?) };
    let pass = masks.pass(std::slice::from_ref(images))?;
    let gradients = pass.gradients(&by_image(&pass.outputs()[0])?.sum_all()?)?;
    let step = 1e-5;
    let mut compared = 0;
    for (number, group) in groups.iter().enumerate() {
        let ours = gradients.of_group(number)?;
        let ours = |image: usize, unit: usize| ours[image][unit];
        for unit in 0..group.units {
            let f = |by: f64| -> AnyResult<Vec<f64>> {
                let graph = scaled(graph, group, unit, by)?;
                let logits = graph.forward(std::slice::from_ref(images))?.remove(0);
                Ok(by_image(&logits)?.to_vec1()?)
            };
            let (more, less) = (f(1. + step)?, f(1. - step)?);
            for (image, (more, less)) in more.iter().zip(&less).enumerate() {
                let expected = (more - less) / (2. * step);
                let difference = (ours(image, unit) - expected).abs();
                assert!(difference < 1e-6 * expected.abs(), "{}: {difference}", group.name);
                assert!(expected.abs() > 1e-6, "{}: the derivative is trivial", group.name);
                compared += 1;
            }
        }
    }
    Ok(compared)
}

#[test]
fn derivatives_count_all_paths_of_a_residual_network() -> AnyResult {
    // 4 channels of the residual sum, and 5 inside of each block; 3 images.
    assert_eq!(compare(&residual()?, &random(9, &[3, 3, 5, 5])?)?, 3 * (4 + 5 + 5));
    Ok(())
}

#[test]
fn derivatives_count_all_copies_of_a_channel() -> AnyResult {
    assert_eq!(compare(&copies(1)?, &random(9, &[3, 3, 5, 5])?)?, 3 * (4 + 6));
    // The outputs of two groups go in pairs, one of each.
    assert_eq!(compare(&copies(2)?, &random(9, &[3, 3, 5, 5])?)?, 3 * (4 + 3));
    Ok(())
}

#[test]
fn images_that_are_no_rows_are_told_apart() -> AnyResult {
    assert_eq!(compare(&tokens()?, &random(9, &[4, 4, 3])?)?, 4 * 5);
    Ok(())
}

#[test]
fn outputs_at_masks_are_those_of_scaled_weights() -> AnyResult {
    for (graph, images) in
        [(residual()?, random(9, &[3, 3, 5, 5])?), (tokens()?, random(9, &[4, 4, 3])?)]
    {
        let groups = free(&graph)?;
        let masks = UnitMasks::new(&graph, &groups.iter().collect::<Vec<_>>())?;
        let whole = graph.forward(std::slice::from_ref(&images))?.remove(0);
        for (number, group) in groups.iter().enumerate() {
            for m in [0., 0.7] {
                let expected = scaled(&scaled(&graph, group, 0, m)?, group, 3, m)?;
                let expected = expected.forward(std::slice::from_ref(&images))?.remove(0);
                let got =
                    masks.outputs_at(std::slice::from_ref(&images), &[(number, &[0, 3])], m)?;
                assert!(largest(&(&got[0] - &expected)?)? < 1e-12);
                assert!(largest(&(&whole - &expected)?)? > 1e-2);
            }
        }
        assert!(masks.outputs_at(&[images], &[(0, &[5])], 0.).is_err());
    }
    Ok(())
}

#[test]
fn single_precision_agrees_with_double() -> AnyResult {
    let graph = residual()?;
    let groups = free(&graph)?;
    let images = random(9, &[3, 3, 5, 5])?;
    let terms = |dtype: DType| -> AnyResult<Vec<Vec<f64>>> {
        let mut graph = graph.clone();
        let weights: Vec<ValueId> = graph.values().map(|(id, _)| id).collect();
        for id in weights {
            if let Some(weight) = graph.weight(id).cloned() {
                graph = graph.with_weight(id, weight.to_dtype(dtype)?)?;
            }
        }
        let masks = UnitMasks::new(&graph, &[&groups[0]])?;
        let pass = masks.pass(&[images.to_dtype(dtype)?])?;
        Ok(pass.gradients(&pass.outputs()[0].sum_all()?)?.of_group(0)?)
    };
    let (single, double) = (terms(DType::F32)?, terms(DType::F64)?);
    assert_eq!((double.len(), double[0].len()), (3, 4));
    for (single, double) in single.iter().flatten().zip(double.iter().flatten()) {
        assert!((single - double).abs() < 1e-5 * double.abs().max(1.), "{single} {double}");
    }
    Ok(())
}

#[test]
fn taylor_terms_are_means_of_sizes_over_images() -> AnyResult {
    let graph = residual()?;
    let groups = free(&graph)?;
    let images = random(9, &[3, 3, 5, 5])?;
    let classes = Tensor::new(&[0u32, 2, 1], &Device::Cpu)?;
    let mut taylor = Taylor::new(&graph, &groups.iter().collect::<Vec<_>>())?;
    for (from, count) in [(0, 2), (2, 1)] {
        let classes = classes.narrow(0, from, count)?;
        taylor.add(&[images.narrow(0, from, count)?], |logits| loss_of(&logits[0], &classes))?;
    }
    let terms = taylor.terms();
    let step = 1e-5;
    for (group, terms) in groups.iter().zip(&terms) {
        assert_eq!(terms.len(), group.units);
        for (unit, term) in terms.iter().enumerate() {
            let loss = |by: f64, image: usize| -> AnyResult<f64> {
                let graph = scaled(&graph, group, unit, by)?;
                let logits = graph.forward(&[images.narrow(0, image, 1)?])?.remove(0);
                Ok(loss_of(&logits, &classes.narrow(0, image, 1)?)?.to_scalar()?)
            };
            let mut expected = 0.;
            for image in 0..3 {
                let change = loss(1. + step, image)? - loss(1. - step, image)?;
                expected += (change / (2. * step)).abs() / 3.;
            }
            assert!(expected > 1e-6 && (term - expected).abs() < 1e-8, "{term} {expected}");
        }
    }
    Ok(())
}

/// A convolution to 6 channels, of which one convolution reads the first half and another the rest.
fn split() -> AnyResult<Graph> {
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(3), Some(5), Some(5)])?;
    let z = convolution(&mut builder, "first", x, random(1, &[6, 3, 3, 3])?)?;
    let split = Op::Split(Split { axis: 1, sizes: Some(vec![3, 3]), parts: 2 });
    let halves = builder.push("split", split, vec![Some(z)], &["low", "high"])?;
    let mut parts = vec![];
    for (half, seed) in halves.into_iter().zip([2, 3]) {
        parts.push(convolution(
            &mut builder,
            &format!("half{seed}"),
            half,
            random(seed, &[2, 3, 3, 3])?,
        )?);
    }
    let z = builder.node("sum", Op::Binary(Binary::Add), &parts)?;
    let y = builder.node("mean", mean(&[2, 3]), &[z])?;
    Ok(builder.finish(vec![y])?)
}

#[test]
fn nothing_left_of_a_part_is_a_typed_error_and_left_out_of_curves() -> AnyResult {
    let graph = split()?;
    let groups = free(&graph)?;
    let group = &groups[0];
    assert_eq!((group.units, group.reads.len()), (6, 2));
    let images = random(9, &[8, 3, 5, 5])?;
    let mut statistics = GroupStatistics::new(&graph, &groups);
    statistics.add(std::slice::from_ref(&images))?;
    let takeovers = Takeover::ALL;
    for takeover in takeovers {
        let removal = foresee_graph::Removal { group, units: &[0, 1, 2] };
        let found = statistics.cut(&[removal], takeover);
        let nothing = matches!(found, Err(Error::Graph(foresee_graph::Error::NothingLeft { .. })));
        assert!(nothing, "{takeover:?}");
    }
    let order = statistics.order(group, GroupRule::Taylor, Some(&[0., 1., 2., 3., 4., 5.]), 0)?;
    assert_eq!(order.order, [0, 1, 2, 3, 4, 5]);
    let labels = Tensor::from_vec(vec![0u32, 1, 0, 1, 0, 1, 0, 1], 8, &Device::Cpu)?;
    let curves = statistics.curves(
        group,
        &[order],
        (&takeovers, &[1, 2, 3, 4]),
        std::iter::once(Ok::<_, Error>((images, labels))),
    )?;
    assert_eq!(curves.len(), takeovers.len());
    for curve in curves {
        let counts: Vec<usize> = curve.tallies.iter().map(|(count, _)| *count).collect();
        assert_eq!(counts, [1, 2], "{:?}", curve.takeover);
    }
    Ok(())
}

#[test]
fn channels_that_a_split_parts_correlate_where_they_are_read_together() -> AnyResult {
    let graph = split()?;
    let groups = free(&graph)?;
    let group = &groups[0];
    let images = random(9, &[8, 3, 5, 5])?;
    let mut statistics = GroupStatistics::new(&graph, &groups);
    statistics.add(std::slice::from_ref(&images))?;
    let z = graph.find("first")?;
    let z = graph.evaluate(&[(graph.inputs()[0], images)], &[z])?.remove(0);
    let z = z.transpose(0, 1)?.flatten_from(1)?;
    let z = z.broadcast_sub(&z.mean_keepdim(1)?)?;
    let covariance = z.matmul(&z.t()?)?.to_vec2::<f64>()?;
    let correlation = statistics.correlation(group)?;
    let mut parted = 0f64;
    for (i, row) in correlation.iter().enumerate() {
        for (j, rho) in row.iter().enumerate() {
            let all = covariance[i][j] / (covariance[i][i] * covariance[j][j]).sqrt();
            let is_together = (i < 3) == (j < 3);
            let expected = if is_together { all } else { 0. };
            parted = parted.max(if is_together { 0. } else { all.abs() });
            assert!((rho - expected).abs() < 1e-12, "{i} {j}: {rho}, not {expected}");
        }
    }
    assert!(parted > 0.1);
    let order = statistics.order(group, GroupRule::Of(PruneRule::Lower), None, 0)?;
    let pair = (0..6).flat_map(|i| (i + 1..6).map(move |j| (i, j)));
    let pair = pair.max_by(|a, b| correlation[a.0][a.1].total_cmp(&correlation[b.0][b.1]));
    let pair = pair.ok_or("no pair")?;
    assert!(order.order[0] == pair.0 || order.order[0] == pair.1);
    Ok(())
}

#[test]
fn units_that_a_group_does_not_have_are_refused() -> AnyResult {
    let graph = residual()?;
    let groups = free(&graph)?;
    let images = random(9, &[2, 3, 5, 5])?;
    let mut statistics = GroupStatistics::new(&graph, &groups);
    statistics.add(std::slice::from_ref(&images))?;
    let of: Vec<&ChannelGroup> = groups.iter().collect();
    let masks = UnitMasks::new(&graph, &of)?.for_takeovers();
    let pass = masks.pass(&[images])?;
    let units = [0, groups[0].units];
    let is_told = |found: Option<Error>| match found {
        Some(Error::Graph(foresee_graph::Error::NoUnit { unit, .. })) => unit == units[1],
        _ => false,
    };
    for takeover in Takeover::ALL {
        let removal = foresee_graph::Removal { group: &groups[0], units: &units };
        assert!(is_told(statistics.reconstructions(&[removal], takeover).err()), "{takeover:?}");
        assert!(is_told(statistics.cut(&[removal], takeover).err()), "{takeover:?}");
    }
    assert!(is_told(pass.direction(&[(0, &units)], &[]).err()));
    let removal = foresee_graph::Removal { group: &groups[0], units: &units };
    assert!(is_told(foresee_perturb::budget_counts(&graph, &[removal], 0.9).err()));
    Ok(())
}

/// A unit that is constant, and correlates with nothing, is taken over in each half by its mean or
/// by a partner that is read with it.
#[test]
fn a_partner_is_read_with_the_unit_that_goes() -> AnyResult {
    let graph = split()?;
    let weight = graph.find("first.weight")?;
    let filters = graph.weight(weight).ok_or("no weight")?.clone();
    // Unit 4 is 0 for every image: the mean of its half's other units must not stand for it.
    let own = filters.narrow(0, 4, 1)?.zeros_like()?;
    let filters = Tensor::cat(&[filters.narrow(0, 0, 4)?, own, filters.narrow(0, 5, 1)?], 0)?;
    let graph = graph.with_weight(weight, filters)?;
    let groups = free(&graph)?;
    let images = random(9, &[8, 3, 5, 5])?;
    let mut statistics = GroupStatistics::new(&graph, &groups);
    statistics.add(std::slice::from_ref(&images))?;
    let whole = graph.forward(std::slice::from_ref(&images))?.remove(0);
    let changed = |units: &[usize], takeover| -> AnyResult<f64> {
        let removal = foresee_graph::Removal { group: &groups[0], units };
        let smaller = statistics.cut(&[removal], takeover)?;
        largest(&(smaller.forward(std::slice::from_ref(&images))?.remove(0) - &whole)?)
    };
    assert!(changed(&[4], Takeover::Partner)? < 1e-12);
    // Two of three units of a half go: the third takes over, by its regression.
    let removal = foresee_graph::Removal { group: &groups[0], units: &[0, 2] };
    let by = statistics.reconstructions(&[removal], Takeover::Partner)?;
    assert_eq!((by.len(), &by[0].removed[..], &by[0].kept[..]), (1, &[0, 2][..], &[1][..]));
    let z = graph.evaluate(&[(graph.inputs()[0], images)], &[graph.find("first")?])?.remove(0);
    let means = z.transpose(0, 1)?.flatten_from(1)?.mean(1)?.to_vec1::<f64>()?;
    for (at, &unit) in by[0].removed.iter().enumerate() {
        let (s, t) = (by[0].blocks[0].weights[at][0], by[0].blocks[0].offsets[at]);
        assert!(s != 0. && (means[unit] - s * means[1] - t).abs() < 1e-12);
    }
    Ok(())
}
