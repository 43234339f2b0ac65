//! Kept channels take over: the smaller graph computes what the graph does in which the channels
//! that are read are replaced by their reconstruction.

use candle_core::{D, DType, Device, Tensor};
use foresee_graph::{
    Builder, ChannelGroup, ConvTranspose, Error, Graph, Linear, Op, PoolKind, Read, Reconstruction,
    Removal, ValueId, Window,
};
use proptest::prelude::*;

use crate::networks::{BLOCKS, Block, Head, Numbers, difference, images, network};

fn reconstruction(read: &Read, units: &[usize], numbers: &mut Numbers, t: f64) -> Reconstruction {
    let mut removed: Vec<usize> = units.iter().flat_map(|&u| read.units[u].clone()).collect();
    removed.sort_unstable();
    let kept: Vec<usize> = (0..read.channels).filter(|c| !removed.contains(c)).collect();
    let mut block = || Linear {
        weights: removed.iter().map(|_| kept.iter().map(|_| numbers.real()).collect()).collect(),
        offsets: removed.iter().map(|_| t * numbers.real()).collect(),
    };
    let blocks = (0..read.blocks).map(|_| block()).collect();
    Reconstruction { value: read.value, axis: read.axis, removed, kept, blocks }
}

/// The channel and the copy of each place of a block.
fn places(read: &Read) -> Vec<(usize, usize)> {
    let mut seen = vec![0; read.channels];
    let place = |&channel: &usize| {
        seen[channel] += 1;
        (channel, seen[channel] - 1)
    };
    read.places.iter().map(place).collect()
}

/// M and t of z ↦ M·z + t along the axis, for a block.
fn matrix(read: &Read, of: &Reconstruction, block: usize) -> (Tensor, Tensor) {
    let places = places(read);
    let linear = &of.blocks[block];
    let entry = |&(to, copy): &(usize, usize), &(from, other): &(usize, usize)| {
        let (row, column) = (of.removed.binary_search(&to), of.kept.binary_search(&from));
        match (row, column) {
            _ if copy != other => 0.,
            (Ok(row), Ok(column)) => linear.weights[row][column],
            (Err(_), Ok(_)) if to == from => 1.,
            _ => 0.,
        }
    };
    let rows = places.iter().flat_map(|to| places.iter().map(|from| entry(to, from)));
    let rows: Vec<f64> = rows.collect();
    let offset = |(to, _): &(usize, usize)| of.removed.binary_search(to).map(|r| linear.offsets[r]);
    let offsets: Vec<f64> = places.iter().map(|place| offset(place).unwrap_or(0.)).collect();
    let n = places.len();
    let tensor =
        |all: Vec<f64>, shape: &[usize]| Tensor::from_vec(all, shape, &Device::Cpu).unwrap();
    (tensor(rows, &[n, n]), tensor(offsets, &[n]))
}

/// A value with reconstructed channels.
fn replaced(read: &Read, of: &Reconstruction, z: &Tensor) -> Tensor {
    if read.block_axis.is_some() {
        let block = |k: usize| {
            let (m, t) = matrix(read, of, k);
            let z = z.narrow(1, k, 1).unwrap().squeeze(1).unwrap();
            z.matmul(&m.t().unwrap()).unwrap().broadcast_add(&t).unwrap().unsqueeze(1).unwrap()
        };
        let blocks: Vec<Tensor> = (0..read.blocks).map(block).collect();
        return Tensor::cat(&blocks, 1).unwrap();
    }
    let z = z.transpose(read.axis, z.rank() - 1).unwrap().contiguous().unwrap();
    let size = read.places.len();
    let block = |k: usize| {
        let (m, t) = matrix(read, of, k);
        let z = z.narrow(D::Minus1, k * size, size).unwrap().contiguous().unwrap();
        z.broadcast_matmul(&m.t().unwrap()).unwrap().broadcast_add(&t).unwrap()
    };
    let blocks: Vec<Tensor> = (0..read.blocks).map(block).collect();
    let z = Tensor::cat(&blocks, D::Minus1).unwrap();
    z.transpose(read.axis, z.rank() - 1).unwrap().contiguous().unwrap()
}

/// What the nodes that read a value read instead in the graph with masks.
fn masked_inputs(graph: &Graph, masked: &Graph, read: &Read) -> Vec<ValueId> {
    let of = |consumer: &foresee_graph::Consumer| {
        let name = &graph.node(consumer.node).name;
        let node = masked.find_node(name).unwrap();
        masked.node(node).input(consumer.input).unwrap()
    };
    read.consumers.iter().map(of).collect()
}

/// Whether the channels could be removed, and were compared.
fn check(graph: &Graph, group: &ChannelGroup, read: &Read, seed: u64, t: f64) -> bool {
    let mut numbers = Numbers::new(seed ^ 3);
    let units = numbers.some(group.units);
    let removals = [Removal { group, units: &units }];
    let of = reconstruction(read, &units, &mut numbers, t);
    if of.removed.is_empty() || of.kept.is_empty() {
        return false;
    }
    let smaller = match graph.remove_channels_with(&removals, std::slice::from_ref(&of)) {
        // A choice of channels can lose all of them.
        Err(Error::NothingLeft { .. }) => return false,
        smaller => smaller.unwrap(),
    };
    let x = images(seed, DType::F64);
    let got = smaller.forward(std::slice::from_ref(&x)).unwrap().remove(0);

    let masked = graph.mask_channels(&removals).unwrap();
    let mut given = vec![(graph.inputs()[0], x)];
    let z = masked.evaluate(&given, &[read.value]).unwrap().remove(0);
    let z = replaced(read, &of, &z);
    given.extend(masked_inputs(graph, &masked, read).into_iter().map(|id| (id, z.clone())));
    let expected = masked.evaluate(&given, graph.outputs()).unwrap().remove(0);
    let difference = difference(&got, &expected);
    let name = &graph.value(read.value).name;
    assert!(difference < 1e-11, "{} at {name}: {difference:e}", group.name);
    true
}

fn check_all(blocks: &[Block], head: Head, seed: u64, t: f64) -> usize {
    let graph = network(blocks, head, seed, DType::F64);
    let groups = graph.channel_groups(&[]).unwrap();
    let mut count = 0;
    for group in groups.iter().filter(|group| group.fixed.is_none()) {
        let has_weights =
            |read: &&Read| read.consumers.iter().all(|consumer| consumer.weight.is_some());
        for read in group.reads.iter().filter(has_weights) {
            count += usize::from(check(&graph, group, read, seed, t));
        }
    }
    count
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn weights_take_over(
        blocks in prop::collection::vec(0..BLOCKS.len(), 0..5),
        head in 0..3usize,
        seed in any::<u64>(),
    ) {
        let blocks: Vec<Block> = blocks.into_iter().map(|block| BLOCKS[block]).collect();
        let head = [Head::Pooled, Head::Flat, Head::Masks][head];
        // Chosen by chance, the channels can be such that of no layer some are left.
        prop_assume!(check_all(&blocks, head, seed, 0.) > 0);
    }
}

#[test]
fn offsets_join_the_biases() {
    // Of these, no convolution that reads channels has padding.
    let blocks = [
        Block::Grouped(2),
        Block::Affine,
        Block::Gate,
        Block::Halves,
        Block::Picked,
        Block::Linear,
        Block::Depthwise(1),
    ];
    for block in blocks {
        for head in [Head::Pooled, Head::Flat] {
            assert!(check_all(&[block], head, 11, 1.) > 0);
        }
    }
}

#[test]
fn a_transposed_convolution_takes_the_mean_offset() {
    // Each of the four outputs of a position has one tap: the mean over all outputs is exact.
    let mut numbers = Numbers::new(8);
    let mut builder = Builder::new();
    let x = builder.input("x", vec![None, Some(2), Some(3), Some(3)]).unwrap();
    let mut weight = |name: &str, shape: &[usize]| {
        builder.weight(name, numbers.tensor(shape, DType::F64)).unwrap()
    };
    let first = weight("first.weight", &[4, 2, 1, 1]);
    let second = weight("second.weight", &[4, 3, 2, 2]);
    let last = weight("last.weight", &[5, 3, 1, 1]);
    let window = Window { stride: vec![2, 2], ..Window::new(2) };
    let settings = ConvTranspose { window, output_padding: vec![0, 0], output_shape: None };
    let z = builder.node("first", Op::Conv(Window::new(2)), &[x, first]).unwrap();
    let y = builder.node("second", Op::ConvTranspose(settings), &[z, second]).unwrap();
    let y = builder.node("mean", Op::GlobalPool(PoolKind::Average), &[y]).unwrap();
    let y = builder.node("last", Op::Conv(Window::new(2)), &[y, last]).unwrap();
    let graph = builder.finish(vec![y]).unwrap();

    let groups = graph.channel_groups(&[]).unwrap();
    let (group, read) = (&groups[0], &groups[0].reads[0]);
    let of = reconstruction(read, &[1, 3], &mut numbers, 1.);
    let removals = [Removal { group, units: &[3, 1] }];
    let smaller = graph.remove_channels_with(&removals, std::slice::from_ref(&of)).unwrap();
    let x = numbers.tensor(&[2, 2, 3, 3], DType::F64);
    let input = (graph.inputs()[0], x.clone());
    let z = replaced(read, &of, &graph.evaluate(std::slice::from_ref(&input), &[z]).unwrap()[0]);
    let expected = graph.evaluate(&[input, (read.value, z)], graph.outputs()).unwrap();
    let got = smaller.forward(&[x]).unwrap();
    assert!(difference(&got[0], &expected[0]) < 1e-12);
}

#[test]
fn a_reconstruction_of_other_channels_is_an_error() {
    let graph = network(&[], Head::Pooled, 4, DType::F64);
    let groups = graph.channel_groups(&[]).unwrap();
    let group = &groups[0];
    let of = reconstruction(&group.reads[0], &[1], &mut Numbers::new(1), 0.);
    let error = graph.remove_channels_with(&[Removal { group, units: &[2] }], &[of]).unwrap_err();
    assert!(error.to_string().contains("other channels are removed"), "{error}");
}
