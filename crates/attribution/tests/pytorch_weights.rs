//! Lists of layers and tapped models with the weights of a PyTorch network, against that network
//! (`fixtures/pytorch_weights.py`).

mod distance;

use std::collections::HashMap;

use candle_core::{D, DType, Device, Tensor};
use candle_nn::VarBuilder;
use foresee_attribution::*;
use foresee_kernels::{Pool2d, max_pool2d};

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const FILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pytorch_weights.safetensors");
const PTH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pytorch_weights.pth");
const TARGET: usize = 1;

fn tensors() -> AnyResult<HashMap<String, Tensor>> {
    Ok(candle_core::safetensors::load(FILE, &Device::Cpu)?)
}

fn weights() -> AnyResult<Weights<'static>> {
    Ok(Weights::from_safetensors(FILE, &Device::Cpu)?.pp("state"))
}

fn convolution(stride: usize) -> LayerKind {
    LayerKind::Conv2d(Conv2d { stride, padding: 1, dilation: 1 })
}

fn norm() -> LayerKind {
    LayerKind::BatchNorm { epsilon: 1e-5 }
}

/// The network of the fixture.
fn architecture() -> Vec<(&'static str, LayerKind)> {
    let branch = [
        ("layer1.0.conv1", convolution(1)),
        ("layer1.0.bn1", norm()),
        ("layer1.0.relu1", LayerKind::Relu),
        ("layer1.0.conv2", convolution(1)),
        ("layer1.0.bn2", norm()),
    ];
    vec![
        ("conv1", convolution(1)),
        ("bn1", norm()),
        ("relu", LayerKind::Relu),
        ("maxpool", LayerKind::MaxPool { size: 2 }),
        ("layer1.0", LayerKind::residual(branch)),
        ("layer1", LayerKind::Relu),
        ("layer2.0", convolution(2)),
        ("layer2.1", norm()),
        ("layer2", LayerKind::Relu),
        ("avgpool", LayerKind::GlobalAveragePool),
        ("fc", LayerKind::Linear),
    ]
}

/// The same in plain candle with `Tap`s, as a user has it.
struct Network {
    tensors: HashMap<String, Tensor>,
    tap: Tap,
}

impl Network {
    fn new() -> AnyResult<Self> {
        Ok(Self { tensors: tensors()?, tap: Tap::new() })
    }

    fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(&format!("state.{name}"))
    }

    fn convolution(&self, name: &str, x: &Tensor, stride: usize) -> candle_core::Result<Tensor> {
        let y = x.conv2d(&self.tensors[&format!("state.{name}.weight")], 1, stride, 1, 1)?;
        match self.get(&format!("{name}.bias")) {
            None => Ok(y),
            Some(bias) => y.broadcast_add(&bias.reshape((1, (), 1, 1))?),
        }
    }

    fn norm(&self, name: &str, x: &Tensor) -> candle_core::Result<Tensor> {
        let of = |part: &str| {
            let found = self.get(&format!("{name}.{part}"));
            found.map(|t| t.reshape((1, (), 1, 1))).transpose()
        };
        let (mean, variance) = (of("running_mean")?.unwrap(), of("running_var")?.unwrap());
        let mut y = x.broadcast_sub(&mean)?.broadcast_div(&(variance + 1e-5)?.sqrt()?)?;
        if let Some(weight) = of("weight")? {
            y = y.broadcast_mul(&weight)?;
        }
        if let Some(bias) = of("bias")? {
            y = y.broadcast_add(&bias)?;
        }
        Ok(y)
    }

    fn start(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = self.norm("bn1", &self.convolution("conv1", x, 1)?)?.relu()?;
        let x = max_pool2d(&x, &Pool2d::new(2))?;
        let y = self.norm("layer1.0.bn1", &self.convolution("layer1.0.conv1", &x, 1)?)?.relu()?;
        let y = self.norm("layer1.0.bn2", &self.convolution("layer1.0.conv2", &y, 1)?)?;
        let y = self.tap.at("layer1.0.bn2", &y)?;
        self.tap.at("layer1", &(x + y)?.relu()?)
    }

    fn end(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = self.norm("layer2.1", &self.convolution("layer2.0", x, 2)?)?.relu()?;
        let x = self.tap.at("layer2", &x)?.mean((D::Minus2, D::Minus1))?;
        let weight = &self.tensors["state.fc.weight"];
        x.matmul(&weight.t()?)?.broadcast_add(&self.tensors["state.fc.bias"])
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.end(&self.start(x)?)
    }
}

fn distance(a: &Tensor, b: &Tensor) -> AnyResult<f64> {
    assert_eq!(a.dims(), b.dims());
    let numbers = |t: &Tensor| t.flatten_all()?.to_vec1::<f64>();
    Ok(distance::off(&numbers(a)?, &numbers(b)?).1)
}

fn assert_agrees(name: &str, found: &Tensor) -> AnyResult {
    let off = distance(found, &tensors()?[name])?;
    assert!(off < 1e-12, "{name} is {off:e} off");
    Ok(())
}

const SIGNED: GradCam = GradCam { relu: false, batch: None };

#[test]
fn layers_of_a_state_dict_are_the_network() -> AnyResult {
    let x = &tensors()?["x"];
    let builder = VarBuilder::from_tensors(tensors()?, DType::F64, &Device::Cpu);
    for weights in [
        weights()?,
        Weights::from_pth(PTH, None, &Device::Cpu)?,
        Weights::from(builder.pp("state")),
        Weights::from(builder).pp("state"),
    ] {
        let layers = Layers::load(&weights, architecture())?.model()?;
        assert_agrees("logits", &layers.forward(x)?)?;
        assert_agrees("gradient", &layers.target(TARGET).gradient(x)?)?;
        for place in ["layer1", "layer2"] {
            let map = grad_cam(&layers.split_at(place)?, x, TARGET, &SIGNED)?;
            assert_agrees(&format!("grad_cam.{place}"), &map)?;
        }
    }
    let single = weights()?.to_dtype(DType::F32)?;
    let found =
        Layers::load(&single, architecture())?.model()?.forward(&x.to_dtype(DType::F32)?)?;
    assert!(distance(&found.to_dtype(DType::F64)?, &tensors()?["logits"])? < 1e-5);
    Ok(())
}

/// Also inside of the residual branch, around which the skip path goes.
#[test]
fn a_tapped_model_is_cut_as_by_hooks_and_as_by_hand() -> AnyResult {
    let (network, x) = (Network::new()?, &tensors()?["x"]);
    let model = |x: &Tensor| network.forward(x);
    assert_agrees("logits", &model(x)?)?;
    for place in ["layer1", "layer1.0.bn2", "layer2"] {
        let cut = network.tap.cut(place, model, x)?;
        assert_agrees(&format!("grad_cam.{place}"), &grad_cam(&cut, x, TARGET, &SIGNED)?)?;
        // One input at a time, and a batch of both in two parts.
        let (z, gradient) = cut.clone().batch(1).activation_and_gradient(x, TARGET)?;
        let all = cut.activation_and_gradient(x, TARGET)?;
        assert!(distance(&z, &all.0)? < 1e-14 && distance(&gradient, &all.1)? < 1e-14);
    }
    let cut = network.tap.cut("layer1", model, x)?;
    let by_hand = SplitModel::new(|x: &Tensor| network.start(x), |z: &Tensor| network.end(z));
    let tapped = grad_cam_plus_plus(&cut, x, TARGET, &GradCam::default())?;
    let split = grad_cam_plus_plus(&by_hand, x, TARGET, &GradCam::default())?;
    assert!(distance(&tapped, &split)? < 1e-14);
    let z = cut.features(x)?;
    assert!(distance(&z, &by_hand.features(x)?)? == 0.);
    assert!(distance(&cut.outputs(&z)?, &tensors()?["logits"])? < 1e-12);
    // Nothing is left of it in the model.
    assert_agrees("logits", &model(x)?)
}

#[test]
fn threads_share_a_tap() -> AnyResult {
    let (network, x) = (Network::new()?, &tensors()?["x"]);
    let model = |x: &Tensor| network.forward(x);
    std::thread::scope(|scope| -> AnyResult {
        let places = ["layer1", "layer2", "layer1.0.bn2", "layer2"];
        let running = places.map(|place| {
            let (tap, model) = (network.tap.clone(), &model);
            let cam = move || grad_cam(&tap.cut(place, model, x)?, x, TARGET, &SIGNED);
            (place, scope.spawn(cam))
        });
        for (place, thread) in running {
            let map = thread.join().map_err(|_| "the thread panicked")??;
            assert_agrees(&format!("grad_cam.{place}"), &map)?;
        }
        Ok(())
    })
}

fn refused_cut(x: &Tensor, model: impl Fn(&Tensor, &Tap) -> candle_core::Result<Tensor>) -> String {
    let tap = Tap::new();
    tap.cut("here", |x: &Tensor| model(x, &tap), x).unwrap_err().to_string()
}

#[test]
fn places_that_cannot_be_cut_are_refused_by_name() -> AnyResult {
    let (network, x) = (Network::new()?, &tensors()?["x"]);
    let model = |x: &Tensor| network.forward(x);
    let missing = network.tap.cut("layer3", model, x).unwrap_err().to_string();
    assert!(
        missing.contains("\"layer3\"")
            && missing.contains("[\"layer1.0.bn2\", \"layer1\", \"layer2\"]"),
        "{missing}"
    );
    let twice = refused_cut(x, |x, tap| {
        let x = tap.at("here", &tap.at("here", &x.flatten_from(1)?)?)?;
        x.sum_keepdim(1)
    });
    assert!(twice.contains("\"here\"") && twice.contains("twice"), "{twice}");
    let ignored = refused_cut(x, |x, tap| {
        tap.at("here", x)?;
        x.flatten_from(1)?.sum_keepdim(1)
    });
    assert!(ignored.contains("\"here\"") && ignored.contains("does not change"), "{ignored}");
    // Only gradient methods, which know the input, go inside of a branch.
    let cut = network.tap.cut("layer1.0.bn2", model, x)?;
    let around = cut.outputs(&cut.features(x)?).unwrap_err().to_string();
    assert!(around.contains("\"layer1.0.bn2\"") && around.contains("path around"), "{around}");
    let cut = network.tap.cut("layer2", model, x)?;
    let smaller = cut.features(x)?.narrow(3, 0, 2)?;
    let shape = cut.outputs(&smaller).unwrap_err().to_string();
    assert!(shape.contains("\"layer2\"") && shape.contains("[2, 6, 3, 2]"), "{shape}");
    Ok(())
}

/// The comparison with the model's differences is made for a tapped model, too.
#[test]
fn a_wrong_gradient_behind_a_tap_is_refused() -> AnyResult {
    let (tap, x) = (Tap::new(), &tensors()?["x"]);
    let model = |x: &Tensor| {
        let z = tap.at("here", &x.sqr()?)?;
        let pooled = z.max_pool2d(2)?.sqr()?.flatten_from(1)?.sum_keepdim(1)?;
        pooled + z.flatten_from(1)?.mean_keepdim(1)?
    };
    let cut = tap.cut("here", model, x)?;
    let error = grad_cam(&cut, x, 0, &GradCam::default()).unwrap_err();
    assert!(matches!(error, Error::GradientOff { .. }), "{error}");
    assert!(grad_cam(&cut.unchecked(), x, 0, &GradCam::default()).is_ok());
    Ok(())
}

fn refusal(
    weights: &Weights<'_>,
    change: impl FnOnce(&mut Vec<(&'static str, LayerKind)>),
) -> (Error, String) {
    let mut layers = architecture();
    change(&mut layers);
    let error = Layers::load(weights, layers).unwrap_err();
    let message = error.to_string();
    (error, message)
}

#[test]
fn what_does_not_fit_is_refused_before_anything_runs() -> AnyResult {
    let weights = weights()?;
    // A name that the file does not have.
    let (error, message) = refusal(&weights, |layers| layers[0].0 = "conv_1");
    assert!(matches!(error, Error::NoWeight { .. }), "{message}");
    assert!(
        message.contains("\"conv_1\"")
            && message.contains("\"conv_1.weight\"")
            && message.contains("[\"conv1.weight\""),
        "{message}"
    );
    // A layer is forgotten: its tensors are left.
    let (error, message) = refusal(&weights, |layers| drop(layers.remove(7)));
    assert!(
        matches!(&error, Error::UnusedWeights { names }
            if *names == ["layer2.1.running_mean", "layer2.1.running_var"]),
        "{message}"
    );
    let mut fewer = architecture();
    fewer.remove(7);
    let (layers, unused) = Layers::load_with_unused(&weights, fewer)?;
    // Norms are merged; the residual sum is a node beside those of its branch.
    assert_eq!((layers.model()?.names().len(), unused.len()), (12, 2));
    // 6 channels for the 4 of the residual block, which comes too late.
    let (error, message) = refusal(&weights, |layers| {
        let block = layers.remove(4);
        layers.insert(7, block);
    });
    assert!(matches!(error, Error::LayersApart { .. }), "{message}");
    let parts =
        ["\"layer1.0.conv1\"", "[B, 4, H, W]", "[4, 4, 3, 3]", "\"layer2.0\"", "[B, 6, ?, ?]"];
    for part in parts {
        assert!(message.contains(part), "{part}: {message}");
    }
    // No global pooling: 6 features a pixel, of which the linear layer takes 6 in all.
    let mut flat = architecture();
    flat[9] = ("flat", LayerKind::Flatten);
    let layers = Layers::load(&weights, flat)?.model()?;
    let x = |side: usize| Tensor::zeros((1, 3, side, side), DType::F64, &Device::Cpu);
    assert_eq!(layers.forward(&x(2)?)?.dims(), [1, 3]);
    let message = layers.forward(&x(10)?).unwrap_err().to_string();
    assert!(message.contains("`fc`"), "{message}");
    let one_channel = Tensor::zeros((1, 1, 2, 2), DType::F64, &Device::Cpu)?;
    assert!(layers.forward(&one_channel).is_err());
    Ok(())
}

#[test]
fn tensors_of_wrong_shapes_and_types_have_their_layers_name() -> AnyResult {
    let x = |shape: &[usize]| Tensor::zeros(shape, DType::F64, &Device::Cpu);
    for (name, tensor, says) in [
        ("bn1.weight", x(&[5])?, "[5]"),
        ("fc.bias", x(&[4])?, "[4]"),
        ("conv1.weight", x(&[4, 27])?, "[4, 27]"),
        ("layer1.0.conv2.weight", x(&[5, 4, 3, 3])?, "[5]"),
        ("fc.weight", x(&[3, 7])?, "[3, 7]"),
        ("fc.weight", x(&[3, 6])?.to_dtype(DType::I64)?, "i64"),
    ] {
        let mut tensors = tensors()?;
        tensors.insert(format!("state.{name}"), tensor);
        let (_, message) = refusal(&Weights::from(tensors).pp("state"), |_| ());
        let layer = match name {
            // Batch norm, whose scale does not fit, comes behind.
            "layer1.0.conv2.weight" => "layer1.0.bn2",
            name => name.rsplit_once('.').map_or(name, |(layer, _)| layer),
        };
        let says = if name.contains("conv2") { "[B, 4, ...]" } else { says };
        assert!(message.contains(&format!("{layer:?}")) && message.contains(says), "{message}");
    }
    // A branch must end as it began; a convolution with groups is not one of these layers.
    let conv = |layers: Layers, name: &str, shape: &[usize]| {
        layers.conv2d(name, &x(shape)?, None, Conv2d::default())
    };
    let message = conv(Layers::new(), "first", &[4, 4, 1, 1])?
        .residual("sum", |branch| conv(branch, "wide", &[5, 4, 1, 1]))
        .unwrap_err()
        .to_string();
    assert!(
        ["\"sum\"", "[B, 4, ?, ?]", "\"wide\"", "[B, 5, ?, ?]"].iter().all(|s| message.contains(s)),
        "{message}"
    );
    let message = Layers::new()
        .conv2d("first", &x(&[8, 3, 1, 1])?, None, Conv2d::default())?
        .conv2d("depthwise", &x(&[8, 1, 3, 3])?, None, Conv2d::default())
        .unwrap_err()
        .to_string();
    assert!(message.contains("groups"), "{message}");
    Ok(())
}

#[test]
fn files_that_are_no_state_dicts_are_refused_by_path() -> AnyResult {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pytorch_weights.py");
    for path in [script, "no such file"] {
        for error in [
            Weights::from_safetensors(path, &Device::Cpu).unwrap_err(),
            Weights::from_pth(path, None, &Device::Cpu).unwrap_err(),
        ] {
            assert!(error.to_string().contains(path), "{error}");
        }
    }
    let error = Weights::from_pth(PTH, Some("model"), &Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("model"), "{error}");
    Ok(())
}
