//! Derivatives in the direction of a takeover, against central differences.

mod networks;

use candle_core::Tensor;
use foresee_graph::{ChannelGroup, Graph, Reconstruction, Removal, ValueId};
use foresee_perturb::{GroupStatistics, Takeover, UnitMasks};
use networks::{AnyResult, free, largest, random, residual, tokens};

/// A network that is on its way to one in which kept channels have taken over: by a share `by` of
/// all changes of weights, and of the offsets at what convolutions and products compute.
fn on_the_way(
    graph: &Graph,
    group: &ChannelGroup,
    reconstructions: &[Reconstruction],
    images: &Tensor,
    by: f64,
) -> AnyResult<Tensor> {
    let (mut changed, mut offsets) = (graph.clone(), vec![]);
    for read in &group.reads {
        let of = reconstructions.iter().find(|of| of.value == read.value).ok_or("no takeover")?;
        for consumer in &read.consumers {
            let weight = consumer.weight.ok_or("is read without a weight")?;
            let old = graph.weight(weight.value).ok_or("no weight")?.transpose(0, weight.axis)?;
            let rows: Vec<Tensor> =
                (0..read.channels).map(|c| old.get(c)).collect::<candle_core::Result<_>>()?;
            let mut new = rows.clone();
            let mut offset = rows[0].zeros_like()?;
            for (at, &p) in of.removed.iter().enumerate() {
                let role = (&rows[p] * by)?;
                new[p] = (&new[p] - &role)?;
                for (&q, s) in of.kept.iter().zip(&of.blocks[0].weights[at]) {
                    new[q] = (&new[q] + (&role * *s)?)?;
                }
                offset = (offset + (role * of.blocks[0].offsets[at])?)?;
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

#[test]
fn takeovers_change_what_their_derivatives_say() -> AnyResult {
    for (graph, images) in
        [(residual()?, random(9, &[3, 3, 5, 5])?), (tokens()?, random(9, &[4, 4, 3])?)]
    {
        let groups = free(&graph)?;
        let mut statistics = GroupStatistics::new(&graph, &groups);
        // Moments of other images, so that offsets matter.
        statistics.add(&[(images.affine(0.5, 1.)? + random(3, images.dims())?)?])?;
        let masks = UnitMasks::new(&graph, &groups.iter().collect::<Vec<_>>())?.for_takeovers();
        let pass = masks.pass(std::slice::from_ref(&images))?;
        for (number, group) in groups.iter().enumerate() {
            let removal = Removal { group, units: &[2, 0] };
            for takeover in [Takeover::Partner, Takeover::LeastSquares] {
                let by = statistics.reconstructions(&[removal], takeover, false)?;
                let replaced = pass.replaced(number, &[2, 0], &by)?;
                let logits = &pass.outputs()[0];
                for output in 0..logits.dim(1)? {
                    let f = logits.narrow(1, output, 1)?.sum_all()?;
                    let ours = pass.gradients(&f)?.towards(&replaced)?;
                    let at = |step| on_the_way(&graph, group, &by, &images, step);
                    let step = 1e-6;
                    let expected = ((at(step)? - at(-step)?)? / (2. * step))?;
                    let expected =
                        expected.narrow(1, output, 1)?.flatten_all()?.to_vec1::<f64>()?;
                    assert_eq!(ours.len(), expected.len());
                    for (ours, expected) in ours.iter().zip(&expected) {
                        let difference = (ours - expected).abs();
                        assert!(
                            expected.abs() > 1e-6 && difference < 1e-7 * expected.abs().max(1.)
                        );
                    }
                }
                // All of the way it is the smaller network.
                let smaller = statistics.cut(&[removal], takeover, false)?;
                let smaller = smaller.forward(std::slice::from_ref(&images))?.remove(0);
                let all = on_the_way(&graph, group, &by, &images, 1.)?;
                assert!(largest(&(smaller - all)?)? < 1e-9);
            }
            // Without a takeover, what the units contribute is missing.
            let f = pass.outputs()[0].narrow(1, 0, 1)?.sum_all()?;
            let gradients = pass.gradients(&f)?;
            let change = gradients.towards(&pass.replaced(number, &[2, 0], &[])?)?;
            for (change, of_units) in change.iter().zip(gradients.of_group(number)?) {
                assert!((change + of_units[0] + of_units[2]).abs() < 1e-12);
            }
        }
    }
    Ok(())
}
