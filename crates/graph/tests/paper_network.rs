//! The paper's network as a graph gives foresee-model's logits.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use foresee_graph::{Error, Graph, attention_network};
use foresee_model::{Network, NetworkConfig, Rows};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const DILATIONS: [usize; 4] = [1, 2, 3, 2];

/// A network whose batch norms are not the identity.
fn network(config: NetworkConfig) -> AnyResult<Network> {
    let network = Network::new(config, 3, &Device::Cpu)?;
    for (name, var) in network.tensors() {
        let count = var.elem_count();
        let numbers: Vec<f32> = (0..count).map(|i| (i as f32 * 1.3).sin()).collect();
        let numbers = Tensor::from_vec(numbers, var.dims(), &Device::Cpu)?;
        if name.ends_with("running_mean") || name.ends_with("bn.bias") {
            var.set(&(numbers * 0.1)?)?;
        } else if name.ends_with("running_var") || name.ends_with("bn.weight") {
            var.set(&((numbers * 0.3)? + 1.)?)?;
        }
    }
    Ok(network)
}

fn tensors(network: &Network) -> HashMap<String, Tensor> {
    network.tensors().into_iter().map(|(name, var)| (name, var.as_tensor().clone())).collect()
}

fn graph(network: &Network, masks: Option<&Rows>) -> AnyResult<Graph> {
    Ok(attention_network(tensors(network), &DILATIONS, masks)?)
}

fn check(network: &Network, graph: &Graph) -> AnyResult {
    let numbers: Vec<f32> = (0..2 * 3 * 9 * 11).map(|i| (i as f32 * 0.37).sin()).collect();
    let images = Tensor::from_vec(numbers, (2, 3, 9, 11), &Device::Cpu)?;
    let expected = network.forward(&images)?.logits.to_vec2::<f32>()?.concat();
    let logits = graph.forward(&[images])?.remove(0).to_vec2::<f32>()?.concat();
    assert_eq!(logits.len(), expected.len());
    for (logit, expected) in logits.iter().zip(&expected) {
        assert!((logit - expected).abs() < 1e-5, "{logit} {expected}");
    }
    Ok(())
}

fn config() -> NetworkConfig {
    NetworkConfig { attributes: 3, channels: 8, mask_kernel: 3, ..Default::default() }
}

#[test]
fn with_all_masks() -> AnyResult {
    let network = network(config())?;
    let graph = graph(&network, Some(&Rows::all(3, 8)))?;
    let names: Vec<&str> = graph.nodes().map(|(_, node)| node.name.as_str()).collect();
    assert_eq!(names[..3], ["extractor.0.conv", "extractor.0.bn", "extractor.0.relu"]);
    assert_eq!(names[12..], ["heads.masks", "heads.pool", "heads.readout"]);
    check(&network, &graph)?;
    // Merged, it is the same network.
    let merged = graph.merge_batch_norms()?;
    assert_eq!(merged.nodes().len() + 4, graph.nodes().len());
    check(&network, &merged)
}

#[test]
fn with_some_masks() -> AnyResult {
    let rows = Rows::new(8, vec![vec![0, 3, 7], vec![], (0..8).collect()])?;
    let network = network(config())?.with_rows(rows.clone())?;
    check(&network, &graph(&network, Some(&rows))?)
}

#[test]
fn without_masks() -> AnyResult {
    let network = network(NetworkConfig { attention: false, ..config() })?;
    check(&network, &graph(&network, None)?)
}

/// One node computes and multiplies the masks. Where they are nodes of their own they are a gate.
#[test]
fn masks_are_a_gate_of_the_file_that_is_written() -> AnyResult {
    let graph = graph(&network(config())?, Some(&Rows::all(3, 8)))?;
    assert_eq!(graph.gates(), []);
    let file = Graph::from_onnx_bytes(&graph.to_onnx(&[])?)?;
    let gates = file.gates();
    let names: Vec<&str> = gates.iter().map(|gate| file.node(gate.node).name.as_str()).collect();
    assert_eq!(names, ["heads.masks.masks"]);
    Ok(())
}

#[test]
fn gradients_go_through_the_heads() -> AnyResult {
    let tensors = tensors(&network(config())?);
    let double = |(name, tensor): (String, Tensor)| Ok((name, tensor.to_dtype(DType::F64)?));
    let tensors = tensors.into_iter().map(double).collect::<AnyResult<Vec<_>>>()?;
    let rows = Rows::new(8, vec![vec![0, 3, 7], vec![], (0..8).collect()])?;
    let graph = attention_network(tensors, &DILATIONS, Some(&rows))?;
    let numbers: Vec<f64> = (0..3 * 5 * 4).map(|i| (f64::from(i) * 0.37).sin()).collect();
    let logit = |numbers: &[f64]| -> AnyResult<Tensor> {
        let images = Tensor::from_vec(numbers.to_vec(), (1, 3, 5, 4), &Device::Cpu)?;
        Ok(graph.forward(&[images])?.remove(0).sum_all()?)
    };
    let images = Tensor::from_vec(numbers.clone(), (1, 3, 5, 4), &Device::Cpu)?;
    let images = candle_core::Var::from_tensor(&images)?;
    let sum = graph.forward(&[images.as_tensor().clone()])?.remove(0).sum_all()?;
    let gradients = sum.backward()?;
    let gradient = gradients.get(&images).ok_or("no gradient")?.flatten_all()?.to_vec1::<f64>()?;
    for place in [0, 17, 42, 59] {
        let moved = |by: f64| -> AnyResult<f64> {
            let mut numbers = numbers.clone();
            numbers[place] += by;
            Ok(logit(&numbers)?.to_scalar()?)
        };
        let expected = (moved(1e-5)? - moved(-1e-5)?) / 2e-5;
        assert!((gradient[place] - expected).abs() < 1e-7, "{} {expected}", gradient[place]);
    }
    Ok(())
}

#[test]
fn missing_tensors_are_named() -> AnyResult {
    let mut tensors = tensors(&network(config())?);
    tensors.remove("heads.readout.bias");
    let error = attention_network(tensors, &DILATIONS, None).map(drop).unwrap_err();
    assert!(matches!(&error, Error::NoTensor { name } if name == "heads.readout.bias"));
    Ok(())
}
