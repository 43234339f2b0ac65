//! Names and shapes of tensors are torchvision's (`fixtures/names.txt`), so that its weights load.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use foresee_baselines::{Baseline, Depth, MoonConfig, ResNetConfig, Stem, System};
use foresee_graph::{Graph, Origin};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;
type Shapes = BTreeMap<String, String>;

/// What the fixture lists of a network.
fn torchvision(network: &str) -> Shapes {
    let lines = include_str!("fixtures/names.txt").lines();
    let of_network = lines.filter_map(|line| line.strip_prefix(network)?.strip_prefix(' '));
    let entry = |line: &str| Some(line.split_once(' ')?).map(|(a, b)| (a.into(), b.into()));
    of_network.filter_map(entry).collect()
}

fn ours(graph: &Graph) -> Shapes {
    let weights = graph.values().filter_map(|(_, value)| match &value.origin {
        Origin::Weight(tensor) => Some((value.name.clone(), tensor.dims())),
        _ => None,
    });
    let shape = |dims: &[usize]| dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    weights.map(|(name, dims)| (name, shape(dims))).collect()
}

#[test]
fn residual_networks_have_torchvisions_tensors() -> AnyResult {
    for depth in Depth::ALL {
        let config = ResNetConfig { depth, stem: Stem::Large, width: 64, attributes: 1000 };
        let expected = torchvision(&format!("resnet{}", depth.layers()));
        assert!(expected.len() > 5 * depth.layers());
        assert_eq!(ours(&config.graph(0, &Device::Cpu)?), expected, "{depth:?}");
    }
    Ok(())
}

/// The linear layers of a whole VGG-16 would take half a gigabyte.
#[test]
fn moons_convolutions_have_torchvisions_tensors() -> AnyResult {
    for (name, batch_norm) in [("vgg16", false), ("vgg16_bn", true)] {
        let config =
            MoonConfig { image_size: [32; 2], hidden: 8, batch_norm, ..Default::default() };
        let (mut found, mut expected) = (ours(&config.graph(0, &Device::Cpu)?), torchvision(name));
        let names = |shapes: &Shapes| shapes.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected));
        for shapes in [&mut found, &mut expected] {
            shapes.retain(|name, _| name.starts_with("features."));
        }
        assert!(expected.len() >= 26);
        assert_eq!(found, expected);
    }
    Ok(())
}

#[test]
fn weights_of_another_network_are_refused_with_the_tensor() -> AnyResult {
    let config = |width| ResNetConfig { depth: Depth::D18, width, ..Default::default() };
    let network = |width| Baseline::new(System::ResNet(config(width)), 1, &Device::Cpu);
    let (two, three) = (network(2)?, network(3)?);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("weights.safetensors");
    let refused = || match two.load_torchvision(&path) {
        Ok(left) => Err(format!("loaded, and left {left:?}")),
        Err(error) => Ok(error.to_string()),
    };
    assert!(refused()?.contains("weights.safetensors"));

    let save = |tensors: &[(String, Tensor)]| {
        candle_core::safetensors::save(&tensors.iter().cloned().collect(), &path)
    };
    let of = |network: &Baseline| -> Vec<(String, Tensor)> {
        let tensors = network.tensors().into_iter();
        tensors.map(|(name, var)| (name, var.as_detached_tensor())).collect()
    };
    save(&of(&three))?;
    assert!(refused()?.contains("`conv1.weight` has shape [3, 3, 3, 3], expected [2, 3, 3, 3]"));
    save(&of(&two)[1..])?;
    assert!(refused()?.contains("`conv1.weight` is missing"));
    let mut broken = of(&two);
    broken[0].1 = (&broken[0].1 * f64::NAN)?;
    save(&broken)?;
    assert!(refused()?.contains("`conv1.weight` holds values that are not finite"));

    // Half precision is enough, and answers need not be there.
    let mut halves = of(&network(2)?);
    halves.retain(|(name, _)| !name.starts_with("fc."));
    for (_, tensor) in &mut halves {
        *tensor = ((&*tensor + 0.5)?).to_dtype(DType::F16)?;
    }
    save(&halves)?;
    assert_eq!(two.load_torchvision(&path)?, ["fc.weight", "fc.bias"]);
    let (_, loaded) = &two.tensors()[0];
    let expected = halves[0].1.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    assert_eq!(loaded.flatten_all()?.to_vec1::<f32>()?, expected);
    Ok(())
}
