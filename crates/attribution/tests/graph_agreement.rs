//! Graphs from ONNX files against other libraries, in `f64` (`fixtures/graph_agreement.py`):
//! `-- --nocapture` prints the agreement. Six small networks are compared always; large ones of
//! torchvision if `FORESEE_NETWORKS` names the folder that the script has made.
//!
//! The references are, of
//! * gradients, occlusion, Grad-CAM: Captum 0.9;
//! * DeepLIFT: Captum, of networks without gates and attention, which it does not know, and with an
//!   unpooling of the script's own that adds where windows overlap;
//! * LRP: zennit 0.5, but for gates, attention and layer norm, whose rules are functions of the
//!   script;
//! * guided backpropagation: Captum, where all activations are ReLUs; else hooks of the script;
//! * HiResCAM and LayerCAM: their formulas in the script.

mod distance;

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use foresee_attribution::*;
use foresee_graph::{Graph, OnnxOptions};

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const TARGET: usize = 1;
/// The largest difference, in shares of the largest value. The references are stored in `f32`.
const TOLERANCE: f64 = 1e-6;

/// A network, and the maps that the other libraries make of it.
struct Network {
    name: String,
    model: GraphModel,
    maps: HashMap<String, Tensor>,
}

impl Network {
    fn new(name: &str, graph: Graph, maps: HashMap<String, Tensor>) -> AnyResult<Self> {
        let output = graph.outputs()[0];
        // Of two images one at a time, and both at once, there are tests of their own.
        let model = GraphModel::new(graph, output)?.batch(2);
        Ok(Self { name: name.into(), model, maps })
    }

    fn x(&self) -> &Tensor {
        &self.maps["x"]
    }

    /// Our map of this name.
    fn map(&self, name: &str) -> Result<Tensor> {
        let (model, x) = (&self.model, self.x());
        let target = model.target(TARGET);
        let split = || model.split_at_value(model.last_spatial(x)?);
        let cam = GradCam::default();
        Ok(match name {
            "logits" => model.forward(x)?,
            "sensitivity" => sensitivity(&target, x)?,
            "input_x_gradient" => input_x_gradient(&target, x)?,
            "integrated_gradients" => {
                let options =
                    IntegratedGradients { steps: 6, max_gap: f64::INFINITY, ..Default::default() };
                integrated_gradients(&target, x, None, &options)?.attribution
            }
            "guided_backprop" => model.guided_backprop(x, TARGET)?,
            "occlusion" => {
                let side = if x.dim(2)? > 8 { 32 } else { 4 };
                let window = vec![3, side, side];
                occlusion(&target, x, None, &Occlusion { strides: window.clone(), window })?
            }
            "grad_cam" => grad_cam(&split()?, x, TARGET, &cam)?,
            "hires_cam" => hires_cam(&split()?, x, TARGET, &cam)?,
            "layer_cam" => layer_cam(&split()?, x, TARGET, &cam)?,
            "deep_lift" => {
                let baseline = (x.flip(&[3])? * 0.5)?;
                model.deep_lift(x, TARGET, Some(&baseline), &DeepLift::default())?.attribution
            }
            _ => {
                let found = model.lrp(x, TARGET, &composite(name, x)?)?;
                self.conserves(name, &found);
                found.attribution
            }
        })
    }

    /// What reaches the input and what is taken on the way are the output together, and at each
    /// node what comes in is what goes out.
    fn conserves(&self, name: &str, found: &Relevance) {
        assert_eq!(found.layers.len(), self.model.names().len(), "{name} of {}", self.name);
        for (image, output) in found.output.iter().enumerate() {
            let taken = |layer: &LayerSum| layer.bias[image] + layer.stabilizer[image];
            for layer in &found.layers {
                let (came, went) = (layer.outputs[image], layer.relevance[image] + taken(layer));
                let size = came.abs() + layer.relevance[image].abs() + taken(layer).abs();
                let (node, off) = (&layer.layer, (came - went).abs());
                assert!(
                    off <= 1e-9 * size.max(1.),
                    "{name}, {node} of {}: {came} {went}",
                    self.name
                );
            }
            let lost: f64 = found.layers.iter().map(taken).sum();
            let size: f64 = found.layers.iter().map(|layer| taken(layer).abs()).sum();
            let map = found.attribution.get(image).and_then(|map| map.sum_all());
            let reached = map.and_then(|sum| sum.to_scalar::<f64>()).expect("a map of f64");
            let off = (reached + lost - output).abs() / (size + reached.abs() + output.abs());
            assert!(off < 1e-9, "{name} of {}: {reached} + {lost} is not {output}", self.name);
        }
    }

    /// The distance of our map from theirs, in shares of the largest value.
    fn distance(&self, name: &str) -> AnyResult<f64> {
        let theirs = &self.maps[name];
        let ours = self.map(name).map_err(|error| format!("{name} of {}: {error}", self.name))?;
        assert_eq!(ours.dims(), theirs.dims(), "{name} of {}", self.name);
        let (scale, off) = distance::off(&numbers(&ours)?, &numbers(theirs)?);
        assert!(scale > 1e-12, "{name} of {} is 0", self.name);
        Ok(off)
    }

    /// All maps; the names of those that are too far away.
    fn compare(&self) -> AnyResult<Vec<String>> {
        let mut names: Vec<&String> = self.maps.keys().filter(|name| *name != "x").collect();
        names.sort();
        let mut off = vec![];
        for name in names {
            let distance = self.distance(name)?;
            println!("| {name} | {} | {distance:.1e} |", self.name);
            if distance.is_nan() || distance > TOLERANCE {
                off.push(format!("{name} of {}: {distance:.1e}", self.name));
            }
        }
        Ok(off)
    }
}

fn numbers(x: &Tensor) -> AnyResult<Vec<f64>> {
    Ok(x.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

fn composite(name: &str, x: &Tensor) -> Result<Composite> {
    let bound = |value: f64| -> Result<Tensor> {
        Ok(Tensor::full(value, (1, x.dim(1)?, 1, 1), x.device())?)
    };
    Ok(match name {
        "lrp.epsilon_plus" => Composite::epsilon_plus(),
        "lrp.epsilon_plus_flat" => Composite::epsilon_plus_flat(),
        "lrp.epsilon_alpha2_beta1" => Composite::epsilon_alpha2_beta1(),
        _ => Composite::epsilon_gamma_box(bound(-3.)?, bound(3.)?),
    })
}

fn options(dtype: DType) -> OnnxOptions {
    OnnxOptions { dtype, ..OnnxOptions::default() }
}

fn small() -> AnyResult<Vec<Network>> {
    small_in(DType::F64)
}

/// The networks of the fixture.
fn small_in(dtype: DType) -> AnyResult<Vec<Network>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/graph_agreement.safetensors");
    let tensors = candle_core::safetensors::load(path, &Device::Cpu)?;
    let networks = ["residual", "concat", "depthwise", "gated", "upsampled", "attention"];
    let network = |name: &&str| {
        let of = |key: &String| Some(key.strip_prefix(&format!("{name}."))?.to_string());
        let maps: HashMap<String, Tensor> = tensors
            .iter()
            .filter_map(|(key, tensor)| Some((of(key)?, tensor.clone())))
            .filter(|(key, _)| key != "onnx")
            .collect();
        let bytes = tensors[&format!("{name}.onnx")].to_vec1::<u8>()?;
        Network::new(name, options(dtype).read_bytes(&bytes)?, maps)
    };
    networks.iter().map(network).collect()
}

#[test]
fn small_networks_agree() -> AnyResult {
    let mut off = vec![];
    for network in small()? {
        off.extend(network.compare()?);
    }
    assert!(off.is_empty(), "{off:#?}");
    Ok(())
}

#[test]
fn large_networks_agree() -> AnyResult {
    let Some(folder) = std::env::var_os("FORESEE_NETWORKS") else {
        println!("no FORESEE_NETWORKS: torchvision's networks are not compared");
        return Ok(());
    };
    let mut paths: Vec<_> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<AnyResult<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    let mut off = vec![];
    for path in paths {
        off.extend(large(&path)?.compare()?);
    }
    assert!(off.is_empty(), "{off:#?}");
    Ok(())
}

fn large(path: &Path) -> AnyResult<Network> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let maps = candle_core::safetensors::load(path, &Device::Cpu)?;
    Network::new(&name, options(DType::F64).read(&path.with_extension("onnx"))?, maps)
}

#[test]
fn gradients_are_those_of_the_values() -> AnyResult {
    for network in small()? {
        let off = network.model.target(TARGET).gradient_error(network.x())?;
        assert!(off < 1e-6, "{}: {off:e}", network.name);
    }
    Ok(())
}

#[test]
fn maps_do_not_depend_on_the_batch() -> AnyResult {
    for mut network in small()? {
        let names: Vec<String> = network.maps.keys().filter(|name| *name != "x").cloned().collect();
        let both: Vec<Tensor> =
            names.iter().map(|name| network.map(name)).collect::<Result<_>>()?;
        network.model = network.model.batch(1);
        for (name, both) in names.iter().zip(both) {
            let alone = network.map(name)?;
            let (scale, off) = distance::off(&numbers(&alone)?, &numbers(&both)?);
            assert!(off * scale < 1e-9, "{name} of {}: {off:e}", network.name);
        }
    }
    Ok(())
}

#[test]
fn deep_lift_is_complete() -> AnyResult {
    for network in small()? {
        let x = network.x();
        let baseline = (x * 0.3)?;
        let found = network.model.deep_lift(x, TARGET, Some(&baseline), &DeepLift::default())?;
        assert!(
            found.convergence_delta.iter().all(|delta| delta.abs() < 1e-9),
            "{}: {:?}",
            network.name,
            found.convergence_delta
        );
    }
    Ok(())
}

/// Differences of a few thousandths of the values: their quotients would be rounding in `f32`.
#[test]
fn deep_lift_is_the_same_in_single_precision() -> AnyResult {
    for (double, single) in small()?.into_iter().zip(small_in(DType::F32)?) {
        for share in [0.5, 0.99, 0.999, 0.9999] {
            let deep_lift = |network: &Network, dtype| -> AnyResult<Tensor> {
                let x = double.x().to_dtype(dtype)?;
                let baseline = Some((&x * share)?);
                let options = DeepLift::default();
                let found = network.model.deep_lift(&x, TARGET, baseline.as_ref(), &options)?;
                Ok(found.attribution.to_dtype(DType::F64)?)
            };
            let (found, expected) =
                (deep_lift(&single, DType::F32)?, deep_lift(&double, DType::F64)?);
            let (_, off) = distance::off(&numbers(&found)?, &numbers(&expected)?);
            println!("| deep_lift in f32, {share} | {} | {off:.1e} |", double.name);
            // The baseline itself is rounded.
            let limit = 3e-6 + 2e-7 / (1. - share);
            assert!(off < limit, "{}, {share}: {off:e}", double.name);
        }
    }
    Ok(())
}
