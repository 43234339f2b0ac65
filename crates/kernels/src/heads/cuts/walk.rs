//! The order in which cuts are visited, so that little changes from one to the next.

use std::cmp::Reverse;

use super::ChannelCut;
use super::source::Source;

/// A visit of one cut.
pub(super) struct Step {
    /// Its place in the caller's order.
    pub cut: usize,
    /// Whether the masks' logits begin with their biases (ẑ = 0), not with the last step's logits.
    pub fresh: bool,
    /// The channels whose ẑ is another than before, ascending.
    pub changed: Vec<usize>,
}

/// Visits each cut by itself.
pub(super) fn each_alone(sources: &[Vec<Source>]) -> Vec<Step> {
    (0..sources.len()).map(|cut| step(sources, None, cut)).collect()
}

/// A walk with few changes: from the cut with the fewest kept channels, or from the one with the
/// most, always to the next of those that are left; whichever of the two is cheaper. Nested cuts
/// come in their order.
pub(super) fn short(cuts: &[ChannelCut], sources: &[Vec<Source>]) -> Vec<Step> {
    let kept = |&cut: &usize| cuts[cut].kept.len();
    let ends =
        [(0..cuts.len()).min_by_key(kept), (0..cuts.len()).min_by_key(|cut| Reverse(kept(cut)))];
    let walks = ends.into_iter().flatten().map(|first| nearest_first(sources, first));
    walks.min_by_key(|walk| cost(walk, cuts)).unwrap_or_default()
}

/// Always goes to the next cut of those that are left, or restarts where that costs no more.
fn nearest_first(sources: &[Vec<Source>], first: usize) -> Vec<Step> {
    let mut left: Vec<usize> = (0..sources.len()).filter(|&cut| cut != first).collect();
    let mut steps = vec![step(sources, None, first)];
    let mut at = first;
    let alone: Vec<usize> = sources.iter().map(|to| changes(None, to).count()).collect();
    loop {
        let distance = |to: usize| changes(Some(sources[at].as_slice()), &sources[to]).count();
        let nearest = left
            .iter()
            .enumerate()
            .map(|(place, &to)| (place, to, distance(to)))
            .min_by_key(|&(_, to, distance)| distance.min(alone[to]));
        let Some((place, to, distance)) = nearest else { return steps };
        let anew = distance > 0 && alone[to] <= distance;
        steps.push(step(sources, (!anew).then_some(at), to));
        left.remove(place);
        at = to;
    }
}

fn step(sources: &[Vec<Source>], before: Option<usize>, cut: usize) -> Step {
    let from = before.map(|before| sources[before].as_slice());
    Step { cut, fresh: before.is_none(), changed: changes(from, &sources[cut]).collect() }
}

/// The channels whose source is another; from nothing, those that have one.
fn changes<'a>(
    from: Option<&'a [Source]>,
    to: &'a [Source],
) -> impl Iterator<Item = usize> + use<'a> {
    (0..to.len()).filter(move |&c| to[c] != *from.map_or(&Source::Zero, |from| &from[c]))
}

/// The products of a walk: each change counts for every channel whose masks are still needed.
fn cost(walk: &[Step], cuts: &[ChannelCut]) -> usize {
    let channels = cuts.iter().flat_map(|cut| cut.kept).max().map_or(0, |last| last + 1);
    let mut needed = vec![false; channels];
    let mut cost = 0;
    for step in walk.iter().rev() {
        cuts[step.cut].kept.iter().for_each(|&channel| needed[channel] = true);
        cost += step.changed.len() * needed.iter().filter(|&&needed| needed).count();
        if step.fresh {
            needed.fill(false);
        }
    }
    cost
}

/// All channels in an order in which those that change together lie together: by how often they
/// change, then by when they do so first.
pub(super) fn order_of_channels(walk: &[Step], channels: usize) -> Vec<usize> {
    let mut changes = vec![(0usize, walk.len()); channels];
    for (number, step) in walk.iter().enumerate() {
        for &channel in &step.changed {
            let (count, first) = &mut changes[channel];
            *count += 1;
            *first = number.min(*first);
        }
    }
    let mut order: Vec<usize> = (0..channels).collect();
    order.sort_by_key(|&channel| (Reverse(changes[channel].0), changes[channel].1));
    order
}

#[cfg(test)]
mod tests {
    use super::super::source::sources;
    use super::*;

    fn walk(kept: &[&[usize]]) -> Vec<Step> {
        let cuts: Vec<ChannelCut> = kept.iter().map(|kept| ChannelCut::plain(kept)).collect();
        let sources: Vec<_> = cuts.iter().map(|cut| sources(cut, 5)).collect();
        short(&cuts, &sources)
    }

    #[test]
    fn nested_cuts_are_one_pass_from_the_fewest_channels_up() {
        let steps = walk(&[&[0, 1, 2, 4], &[4], &[1, 4]]);
        let visited: Vec<(usize, &[usize])> =
            steps.iter().map(|step| (step.cut, step.changed.as_slice())).collect();
        assert_eq!(visited, [(1, &[4][..]), (2, &[1][..]), (0, &[0, 2][..])]);
        assert!(steps[0].fresh && !steps[1].fresh && !steps[2].fresh);
        assert_eq!(order_of_channels(&steps, 5), [4, 1, 0, 2, 3]);
    }

    #[test]
    fn cuts_of_one_channel_each_change_two_channels() {
        let steps = walk(&[&[1, 2, 3, 4], &[0, 2, 3, 4], &[0, 1, 3, 4]]);
        let changed: Vec<usize> = steps.iter().map(|step| step.changed.len()).collect();
        assert_eq!(changed, [4, 2, 2]);
    }

    #[test]
    fn what_has_nothing_in_common_begins_anew() {
        let steps = walk(&[&[0, 1], &[2, 3]]);
        assert!(steps.iter().all(|step| step.fresh && step.changed.len() == 2));
        let same = walk(&[&[0, 1], &[0, 1]]);
        assert!(!same[1].fresh && same[1].changed.is_empty());
    }
}
