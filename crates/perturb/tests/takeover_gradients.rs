//! Derivatives in the direction of a takeover, against central differences.

mod networks;

use candle_core::Tensor;
use foresee_graph::{ChannelGroup, Graph, Reconstruction, Removal, ValueId};
use foresee_perturb::{GroupStatistics, Takeover, UnitMasks};
use networks::{AnyResult, copies, free, largest, random, residual, tokens};

/// A network that is on its way to one in which kept channels of groups have taken over: by a share
/// `by` of all changes of weights, and of the offsets at what convolutions and products compute.
fn on_the_way(
    graph: &Graph,
    groups: &[ChannelGroup],
    reconstructions: &[Reconstruction],
    images: &Tensor,
    by: f64,
) -> AnyResult<Tensor> {
    let (mut changed, mut offsets) = (graph.clone(), vec![]);
    for read in groups.iter().flat_map(|group| &group.reads) {
        let of = reconstructions.iter().find(|of| of.value == read.value).ok_or("no takeover")?;
        for consumer in &read.consumers {
            let weight = consumer.weight.ok_or("is read without a weight")?;
            let old = graph.weight(weight.value).ok_or("no weight")?.transpose(0, weight.axis)?;
            let rows: Vec<Tensor> =
                (0..read.places.len()).map(|c| old.get(c)).collect::<candle_core::Result<_>>()?;
            let mut new = rows.clone();
            let mut offset = rows[0].zeros_like()?;
            for (place, channel) in read.places.iter().enumerate() {
                let Some(at) = of.removed.iter().position(|p| p == channel) else { continue };
                for (block, linear) in of.blocks.iter().enumerate() {
                    let role = (of_block(&rows[place], block, of.blocks.len())? * by)?;
                    new[place] = (&new[place] - &role)?;
                    for (q, s) in of.kept.iter().zip(&linear.weights[at]) {
                        let q = read.places.iter().position(|c| c == q).ok_or("no place")?;
                        new[q] = (&new[q] + (&role * *s)?)?;
                    }
                    offset = (offset + (role * linear.offsets[at])?)?;
                }
            }
            let new = Tensor::stack(&new, 0)?.transpose(0, weight.axis)?.contiguous()?;
            changed = changed.with_weight(weight.value, new)?;
            // Of a convolution [O, taps...], of a product [O].
            let offset = match offset.rank() {
                1 => offset.unsqueeze(0)?,
                _ => offset.flatten_from(1)?.sum(1)?.reshape((1, (), 1, 1))?,
            };
            offsets.push((graph.node(consumer.node).outputs[0], offset));
        }
    }
    let add = |id: ValueId, value: &Tensor| {
        let offset = offsets.iter().find(|(of, _)| *of == id);
        Ok(offset.map(|(_, offset)| value.broadcast_add(offset)).transpose()?)
    };
    let given = [(changed.inputs()[0], images.clone())];
    Ok(changed.evaluate_mapped(&given, changed.outputs(), &add)?.remove(0))
}

/// The part of a weight [O, ...] that computes the outputs of a block.
fn of_block(weight: &Tensor, block: usize, blocks: usize) -> AnyResult<Tensor> {
    let outputs = weight.dim(0)?;
    let is_of = |output: usize| f64::from(u8::from(output * blocks / outputs == block));
    let mut shape = vec![1; weight.rank()];
    shape[0] = outputs;
    let own = Tensor::from_vec((0..outputs).map(is_of).collect(), shape, weight.device())?;
    Ok(weight.broadcast_mul(&own)?)
}

#[test]
fn takeovers_change_what_their_derivatives_say() -> AnyResult {
    let images = random(9, &[3, 3, 5, 5])?;
    for (graph, images) in [
        (residual()?, images.clone()),
        (tokens()?, random(9, &[4, 4, 3])?),
        (copies(1)?, images.clone()),
        (copies(2)?, images),
    ] {
        let groups = free(&graph)?;
        let mut statistics = GroupStatistics::new(&graph, &groups);
        // Moments of other images, so that offsets matter.
        statistics.add(&[(images.affine(0.5, 1.)? + random(3, images.dims())?)?])?;
        let masks = UnitMasks::new(&graph, &groups.iter().collect::<Vec<_>>())?.for_takeovers();
        let pass = masks.pass(std::slice::from_ref(&images))?;
        for (number, group) in groups.iter().enumerate() {
            let removal = Removal { group, units: &[2, 0] };
            for takeover in [Takeover::Partner, Takeover::LeastSquares] {
                let by = statistics.reconstructions(&[removal], takeover)?;
                let direction = pass.direction(&[(number, &[2, 0])], &by)?;
                let logits = &pass.outputs()[0];
                for output in 0..logits.dim(1)? {
                    let f = logits.narrow(1, output, 1)?.sum_all()?;
                    let ours = pass.gradients(&f)?.directional_derivative(&direction)?;
                    let at =
                        |step| on_the_way(&graph, std::slice::from_ref(group), &by, &images, step);
                    let step = 1e-6;
                    let expected = ((at(step)? - at(-step)?)? / (2. * step))?;
                    let expected =
                        expected.narrow(1, output, 1)?.flatten_all()?.to_vec1::<f64>()?;
                    assert_eq!(ours.len(), expected.len());
                    for (ours, expected) in ours.iter().zip(&expected) {
                        let difference = (ours - expected).abs();
                        assert!(
                            expected.abs() > 1e-6 && difference < 1e-6 * expected.abs(),
                            "{ours} {expected}"
                        );
                    }
                }
                // All of the way it is the smaller network.
                let smaller = statistics.cut(&[removal], takeover)?;
                let smaller = smaller.forward(std::slice::from_ref(&images))?.remove(0);
                let all = on_the_way(&graph, std::slice::from_ref(group), &by, &images, 1.)?;
                assert!(largest(&(smaller - all)?)? < 1e-9);
            }
            // Without a takeover, what the units contribute is missing.
            let f = pass.outputs()[0].narrow(1, 0, 1)?.sum_all()?;
            let gradients = pass.gradients(&f)?;
            let change =
                gradients.directional_derivative(&pass.direction(&[(number, &[2, 0])], &[])?)?;
            for (change, of_units) in change.iter().zip(gradients.of_group(number)?) {
                assert!((change + of_units[0] + of_units[2]).abs() < 1e-12);
            }
        }
    }
    Ok(())
}

#[test]
fn several_groups_change_together() -> AnyResult {
    let (graph, images) = (residual()?, random(9, &[3, 3, 5, 5])?);
    let groups = free(&graph)?;
    let mut statistics = GroupStatistics::new(&graph, &groups);
    statistics.add(&[(images.affine(0.5, 1.)? + random(3, images.dims())?)?])?;
    let masks = UnitMasks::new(&graph, &groups.iter().collect::<Vec<_>>())?.for_takeovers();
    let pass = masks.pass(std::slice::from_ref(&images))?;
    let units: [&[usize]; 3] = [&[2], &[4, 1], &[0]];
    let removals: Vec<Removal> =
        groups.iter().zip(units).map(|(group, units)| Removal { group, units }).collect();
    let of: Vec<(usize, &[usize])> = units.into_iter().enumerate().collect();
    for takeover in [Takeover::Partner, Takeover::LeastSquares] {
        let by = statistics.reconstructions(&removals, takeover)?;
        let direction = pass.direction(&of, &by)?;
        for output in 0..3 {
            let f = pass.outputs()[0].narrow(1, output, 1)?.sum_all()?;
            let ours = pass.gradients(&f)?.directional_derivative(&direction)?;
            let at = |step| on_the_way(&graph, &groups, &by, &images, step);
            let step = 1e-6;
            let expected = ((at(step)? - at(-step)?)? / (2. * step))?;
            let expected = expected.narrow(1, output, 1)?.flatten_all()?.to_vec1::<f64>()?;
            for (ours, expected) in ours.iter().zip(&expected) {
                let difference = (ours - expected).abs();
                assert!(
                    expected.abs() > 1e-6 && difference < 1e-6 * expected.abs(),
                    "{ours} {expected}"
                );
            }
        }
    }
    // And masks on all of them.
    let whole = masks.outputs_at(std::slice::from_ref(&images), &of, 0.)?.remove(0);
    let smaller = graph.remove_channels(&removals)?.forward(&[images])?.remove(0);
    assert!(largest(&(whole - smaller)?)? < 1e-12);
    Ok(())
}
