//! Torchvision's networks: their groups are Torch-Pruning's, and removing is masking.
//! `fixtures/make.py` says where the files are from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use candle_core::{DType, Tensor};
use foresee_graph::{ChannelGroup, Error, Graph, NodeId, OnnxOptions, Op, Removal, ValueId};

use crate::networks::{Numbers, difference};

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "channels", "fixtures", name].iter().collect()
}

fn read(name: &str, dtype: DType) -> Graph {
    let options = OnnxOptions { dtype, ..OnnxOptions::default() };
    let graph = options.read(&fixture(&format!("{name}.onnx"))).unwrap();
    graph.fold_constants().unwrap()
}

/// The network with random weights in place of the equal ones of the file.
fn with_weights(name: &str, dtype: DType) -> Graph {
    let mut graph = read(name, dtype);
    let mut numbers = Numbers::new(7);
    let nodes: Vec<NodeId> = graph.nodes().map(|(id, _)| id).collect();
    for id in nodes {
        for place in 0..graph.node(id).inputs.len() {
            let Some(value) = graph.node(id).input(place) else { continue };
            let Some(weight) = graph.weight(value).filter(|weight| weight.elem_count() > 7) else {
                continue;
            };
            if weight.dtype().is_float() {
                let weight = random(&mut numbers, &graph.node(id).op, place, weight);
                graph = graph.with_weight(value, weight).unwrap();
            }
        }
    }
    graph
}

fn random(numbers: &mut Numbers, op: &Op, place: usize, weight: &Tensor) -> Tensor {
    let tensor = numbers.tensor(weight.dims(), weight.dtype());
    let inputs = weight.elem_count() / weight.dims().iter().max().unwrap();
    match (op, place) {
        (Op::BatchNorm { .. }, 1 | 4) | (Op::LayerNorm { .. }, 1) => {
            tensor.affine(0.5, 1.).unwrap()
        }
        _ if weight.rank() > 1 => (tensor * (6. / inputs as f64).sqrt()).unwrap(),
        _ => (tensor * 0.1).unwrap(),
    }
}

/// The layers that lose outputs or inputs with a group.
fn layers(graph: &Graph, group: &ChannelGroup) -> BTreeSet<String> {
    let member = |value: ValueId, axis: usize| {
        let name = graph.value(value).name.trim_end_matches(".weight").to_owned();
        format!("{name}:{}", if axis == 0 { "out" } else { "in" })
    };
    let matrices = group.places.iter().filter(|place| place.reader.is_none());
    matrices.map(|place| member(place.value, place.axis)).collect()
}

#[test]
fn groups_are_torch_prunings() {
    let expected = std::fs::read_to_string(fixture("groups.txt")).unwrap();
    let mut networks: BTreeMap<&str, Vec<(&str, BTreeSet<String>)>> = BTreeMap::new();
    for line in expected.lines() {
        let mut words = line.split(' ');
        let (name, layer) = (words.next().unwrap(), words.next().unwrap());
        networks.entry(name).or_default().push((layer, words.map(String::from).collect()));
    }
    assert_eq!(networks.len(), 3);
    for (name, expected) in networks {
        let graph = read(name, DType::F32);
        let groups = graph.channel_groups(&[]).unwrap();
        let mut layer_count = 0;
        for group in groups.iter().filter(|group| group.fixed.is_none()) {
            let members = layers(&graph, group);
            for producer in &group.producers {
                let name = &graph.value(producer.place.value).name;
                let layer = name.trim_end_matches(".weight");
                let (_, theirs) = expected.iter().find(|(of, _)| *of == layer).unwrap();
                assert_eq!(&members, theirs, "{layer}");
                layer_count += 1;
            }
        }
        assert_eq!(layer_count, expected.len(), "{name}");
    }
}

#[test]
fn what_cannot_be_pruned_says_why() {
    let reasons = |name: &str| -> Vec<String> {
        let groups = read(name, DType::F32).channel_groups(&[]).unwrap();
        let fixed = groups.into_iter().filter_map(|group| {
            let reason = group.fixed.clone()?;
            Some(Error::Fixed { group: group.name, reason }.to_string())
        });
        fixed.collect()
    };
    assert_eq!(
        reasons("resnet18"),
        ["the channels of `node_linear` cannot be removed: they are the output `linear`"]
    );
    let reasons = reasons("vit_b_16");
    assert!(reasons[0].contains("(LayerNormalization) computes over all channels"), "{reasons:?}");
}

/// Removes some units of each group, and of all at once; returns how many groups can be pruned.
fn check(name: &str, dtype: DType, alone: usize) -> usize {
    let graph = with_weights(name, dtype);
    let groups = graph.channel_groups(&[]).unwrap();
    let groups: Vec<&ChannelGroup> = groups.iter().filter(|g| g.fixed.is_none()).collect();
    let mut numbers = Numbers::new(3);
    let units: Vec<Vec<usize>> = groups.iter().map(|group| numbers.some(group.units)).collect();
    let all: Vec<Removal> =
        groups.iter().zip(&units).map(|(group, units)| Removal { group, units }).collect();
    let x = numbers.tensor(&[2, 3, 64, 64], dtype);
    let step = (groups.len() / alone.max(1)).max(1);
    let some = all.iter().step_by(step).take(alone).map(|removal| vec![*removal]);
    for removals in some.chain([all.clone()]) {
        let masked = graph.mask_channels(&removals).unwrap();
        let smaller = graph.remove_channels(&removals).unwrap();
        let expected = masked.forward(std::slice::from_ref(&x)).unwrap().remove(0);
        let got = smaller.forward(std::slice::from_ref(&x)).unwrap().remove(0);
        let difference = difference(&got, &expected);
        let limit = if dtype == DType::F64 { 1e-12 } else { 1e-5 };
        assert!(difference < limit, "{name}, {}: {difference:e}", removals[0].group.name);
    }
    groups.len()
}

#[test]
fn resnet18() {
    // The stem with the first stage, one for each other stage, and a block's inner channels each.
    assert_eq!(check("resnet18", DType::F64, 4), 12);
    assert_eq!(check("resnet18", DType::F32, 1), 12);
}

#[test]
fn mobilenet_v2() {
    // The stem, 16 expansions, the outputs of 7 stages, and the last convolution.
    assert_eq!(check("mobilenet_v2", DType::F64, 4), 25);
}

#[test]
fn densenet121() {
    // Each convolution: the stem, two in each of 58 layers, 3 transitions.
    assert_eq!(check("densenet121", DType::F64, 3), 120);
}

#[test]
fn googlenet() {
    // Each convolution.
    assert_eq!(check("googlenet", DType::F64, 4), 57);
}

#[test]
fn efficientnet_b0() {
    // The stem, 15 expansions, 16 squeezes, the outputs of 7 stages, and the last convolution.
    assert_eq!(check("efficientnet_b0", DType::F64, 4), 40);
}

#[test]
fn vgg16_bn() {
    // 13 convolutions and 2 hidden linear layers.
    assert_eq!(check("vgg16_bn", DType::F32, 1), 15);
}

#[test]
fn shufflenet_v2() {
    assert_eq!(check("shufflenet_v2_x0_5", DType::F64, 4), 21);
}

#[test]
fn vit_b_16() {
    // The hidden channels of each block, and those of its heads.
    assert_eq!(check("vit_b_16", DType::F32, 2), 24);
}
