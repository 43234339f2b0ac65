//! The smaller graph computes what the masked one does.

use candle_core::{DType, Tensor};
use foresee_graph::{ChannelGroup, Error, Graph, Reason, Removal};
use proptest::prelude::*;

use crate::networks::{BLOCKS, Block, Head, Numbers, difference, images, network};

fn check(graph: &Graph, removals: &[Removal], seed: u64, dtype: DType) {
    let x = images(seed, dtype);
    let masked = graph.mask_channels(removals).unwrap();
    let smaller = graph.remove_channels(removals).unwrap();
    assert!(weights(&smaller) < weights(graph));
    let expected = masked.forward(std::slice::from_ref(&x)).unwrap().remove(0);
    let got = smaller.forward(&[x]).unwrap().remove(0);
    let limit = if dtype == DType::F64 { 1e-12 } else { 1e-5 };
    let names: Vec<&str> = removals.iter().map(|r| r.group.name.as_str()).collect();
    let difference = difference(&got, &expected);
    assert!(difference < limit, "{names:?}: {difference:e}");
}

/// Values of all weights that are numbers with a fraction.
fn weights(graph: &Graph) -> usize {
    let weights = graph.values().filter_map(|(id, _)| graph.weight(id));
    weights.filter(|weight| weight.dtype().is_float()).map(Tensor::elem_count).sum()
}

fn prunable(groups: &[ChannelGroup]) -> Vec<&ChannelGroup> {
    groups.iter().filter(|group| group.fixed.is_none()).collect()
}

/// Each group alone, and all at once; returns how many were removed alone.
fn check_all(blocks: &[Block], head: Head, seed: u64, dtype: DType) -> usize {
    let graph = network(blocks, head, seed, dtype);
    let groups = graph.channel_groups(&[]).unwrap();
    let mut numbers = Numbers::new(seed ^ 2);
    let groups = prunable(&groups);
    // A slice or a choice of channels can lose all of them: then one unit goes alone.
    let removable = |group: &&ChannelGroup, units: &Vec<usize>| match graph
        .remove_channels(&[Removal { group, units }])
    {
        Err(Error::NothingLeft { .. }) => false,
        smaller => smaller.map(|_| true).unwrap(),
    };
    let units: Vec<Option<Vec<usize>>> = groups
        .iter()
        .map(|group| {
            let alone = (0..group.units).map(|unit| vec![unit]);
            let mut choices = [numbers.some(group.units)].into_iter().chain(alone);
            choices.find(|units| removable(group, units))
        })
        .collect();
    let removals: Vec<Removal> = groups
        .iter()
        .zip(&units)
        .filter_map(|(group, units)| Some(Removal { group, units: units.as_ref()? }))
        .collect();
    removals.iter().for_each(|removal| check(&graph, &[*removal], seed, dtype));
    if !removals.is_empty() {
        check(&graph, &removals, seed, dtype);
    }
    removals.len()
}

const HEADS: [Head; 3] = [Head::Pooled, Head::Flat, Head::Masks];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn removing_is_masking(
        blocks in prop::collection::vec(0..BLOCKS.len(), 0..7),
        head in 0..3usize,
        seed in any::<u64>(),
        double in any::<bool>(),
    ) {
        let blocks: Vec<Block> = blocks.into_iter().map(|block| BLOCKS[block]).collect();
        let dtype = if double { DType::F64 } else { DType::F32 };
        // Group norm and reshapes together can tie all channels, so that none can go, and so can
        // three reshapes; two cannot (below).
        let normalised = blocks.iter().any(|block| matches!(block, Block::GroupNorm));
        let reshapes = |block: &&Block| matches!(block, Block::Shuffle | Block::Computed);
        let tied = normalised || blocks.iter().filter(reshapes).count() > 2;
        prop_assert!(check_all(&blocks, HEADS[head], seed, dtype) > 0 || tied);
    }
}

#[test]
fn every_block_alone() {
    for block in BLOCKS {
        for head in HEADS {
            let groups = check_all(&[block, Block::Relu], head, 5, DType::F64);
            assert!(groups > 0, "{block:?} {head:?}");
        }
    }
}

/// So PyTorch writes a group norm before opset 21.
#[test]
fn channels_that_a_norm_takes_together_stay() {
    for rows in [1, 2] {
        let blocks = [Block::Conv(2), Block::RowNorm(rows), Block::Conv(1)];
        for head in HEADS {
            check_all(&blocks, head, 7, DType::F64);
        }
        let groups = network(&blocks, Head::Pooled, 7, DType::F64).channel_groups(&[]).unwrap();
        let mixed = |group: &ChannelGroup| matches!(group.fixed, Some(Reason::Mixed { .. }));
        assert!(groups.iter().any(mixed), "{rows}");
    }
}

#[test]
fn two_reshapes_leave_channels_that_can_go() {
    let reshapes = [Block::Shuffle, Block::Computed];
    let others = || BLOCKS.into_iter().filter(|block| !matches!(block, Block::GroupNorm));
    for (a, b) in reshapes.into_iter().flat_map(|a| reshapes.map(|b| (a, b))) {
        for (between, head) in others().flat_map(|block| HEADS.map(|head| (block, head))) {
            let blocks = [a, between, b];
            assert!(check_all(&blocks, head, 0, DType::F32) > 0, "{blocks:?} {head:?}");
        }
    }
}
