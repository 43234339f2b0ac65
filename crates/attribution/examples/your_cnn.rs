//! A CNN with weights from PyTorch, explained in three ways: `cargo run --release -p
//! foresee-attribution --example your_cnn`. With a file it takes that file's weights, otherwise it
//! makes them. The book's page "Your CNN from PyTorch" goes through it.
//!
//! Output 0 is how much more of an image is in vertical bars than in horizontal ones. The image has
//! one of each: a good attribution of output 0 is positive at the vertical one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Module, ModuleT, Tensor};
use candle_nn::{BatchNorm, Conv2d, Conv2dConfig, Linear, VarBuilder};
use foresee_attribution::{
    Composite, GradCam, GraphModel, IntegratedGradients, Interpolation, LayerKind, Layers, Reduce,
    Tap, Target, Weights, grad_cam, integrated_gradients, per_pixel, pointing_game, resize,
};
use foresee_kernels::{Pool2d, max_pool2d};

type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

const SIZE: usize = 16;

/// The model as it is in PyTorch, and a tap.
struct Cnn {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    fc: Linear,
    tap: Tap,
}

impl Cnn {
    fn load(weights: &VarBuilder<'_>) -> candle_core::Result<Self> {
        let padded = Conv2dConfig { padding: 1, ..Conv2dConfig::default() };
        Ok(Self {
            conv1: candle_nn::conv2d(3, 2, 3, padded, weights.pp("conv1"))?,
            bn1: candle_nn::batch_norm(2, 1e-5, weights.pp("bn1"))?,
            conv2: candle_nn::conv2d(2, 2, 3, padded, weights.pp("conv2"))?,
            fc: candle_nn::linear(2, 2, weights.pp("fc"))?,
            tap: Tap::new(),
        })
    }
}

impl Module for Cnn {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = self.bn1.forward_t(&self.conv1.forward(x)?, false)?.relu()?;
        let x = max_pool2d(&x, &Pool2d::new(2))?;
        let x = self.conv2.forward(&x)?.relu()?;
        let x = self.tap.at("features", &x)?;
        self.fc.forward(&x.mean((2, 3))?)
    }
}

/// The same model from a list of layers.
fn listed(weights: &Weights<'_>) -> foresee_attribution::Result<GraphModel> {
    let padded = foresee_attribution::Conv2d { padding: 1, ..Default::default() };
    Layers::load(
        weights,
        [
            ("conv1", LayerKind::Conv2d(padded)),
            ("bn1", LayerKind::BatchNorm { epsilon: 1e-5 }),
            ("relu1", LayerKind::Relu),
            ("pool", LayerKind::MaxPool { size: 2 }),
            ("conv2", LayerKind::Conv2d(padded)),
            ("relu2", LayerKind::Relu),
            ("gap", LayerKind::GlobalAveragePool),
            ("fc", LayerKind::Linear),
        ],
    )?
    .model()
}

/// Bytes [H, W, 3] → [1, 3, H, W], as torchvision's `ToTensor` and `Normalize` of ImageNet.
fn preprocess(rgb: &Tensor) -> candle_core::Result<Tensor> {
    let of_channels = |values: [f32; 3]| Tensor::new(&values, rgb.device())?.reshape((3, 1, 1));
    let x = (rgb.permute((2, 0, 1))?.to_dtype(DType::F32)? / 255.)?;
    x.broadcast_sub(&of_channels([0.485, 0.456, 0.406])?)?
        .broadcast_div(&of_channels([0.229, 0.224, 0.225])?)?
        .unsqueeze(0)
}

/// The largest difference of two models' outputs, relative to the largest output.
fn disagreement(ours: &Tensor, theirs: &Tensor) -> candle_core::Result<f32> {
    let largest = theirs.abs()?.max_all()?.to_scalar::<f32>()?;
    Ok((ours - theirs)?.abs()?.max_all()?.to_scalar::<f32>()? / largest)
}

fn main() -> AnyResult {
    match std::env::args_os().nth(1) {
        Some(path) => explain(Path::new(&path)),
        None => {
            let path = write_weights()?;
            let explained = explain(&path);
            std::fs::remove_file(path)?;
            explained
        }
    }
}

fn explain(path: &Path) -> AnyResult {
    let x = preprocess(&image()?)?;

    // For candle's own layers, a VarBuilder.
    let bytes = std::fs::read(path)?;
    let builder = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &Device::Cpu)?;
    let cnn = Cnn::load(&builder)?;
    let logits = cnn.forward(&x)?;

    // 1. A closure.
    let target = Target::new(|x: &Tensor| cnn.forward(x), 0);
    let found = integrated_gradients(&target, &x, None, &IntegratedGradients::default())?;
    let gradients = per_pixel(&found.attribution, Reduce::Sum)?;

    // 2. A closure that is cut at a place of its tap.
    let cut = cnn.tap.cut("features", |x: &Tensor| cnn.forward(x), &x)?;
    let cam = grad_cam(&cut, &x, 0, &GradCam::default())?;
    let cam = resize(&cam, SIZE, SIZE, Interpolation::Bilinear)?;

    // 3. Layers.
    let model = listed(&Weights::from_safetensors(path, &Device::Cpu)?)?;
    let off = disagreement(&model.forward(&x)?, &logits)?;
    if off > 1e-4 {
        return Err(format!("the layers are {off} off the model").into());
    }
    let relevance = model.lrp(&x, 0, &Composite::epsilon_plus())?;
    let relevance = per_pixel(&relevance.attribution, Reduce::Sum)?;

    println!("logits {:?}, layers {off:.0e} off", logits.to_vec2::<f32>()?);
    let maps = [("integrated gradients", gradients), ("Grad-CAM", cam), ("LRP", relevance)];
    for (name, map) in &maps {
        let Some(pointing) = pointing_game(map, &vertical_bar()?, 0.)?[0] else { continue };
        let (inside, area) = (100. * pointing.energy, 100. * pointing.area);
        println!(
            "{name:20} {inside:3.0} % of its positive part about the bar, {area:.0} % by chance"
        );
    }
    Ok(())
}

/// Bars of 8 and of 6 pixels.
fn image() -> candle_core::Result<Tensor> {
    let is_bar = |row: usize, column: usize| matches!((row, column), (2..10, 4) | (12, 6..12));
    let byte = |at: usize| if is_bar(at / 3 / SIZE, at / 3 % SIZE) { 220u8 } else { 30 };
    Tensor::from_iter((0..SIZE * SIZE * 3).map(byte), &Device::Cpu)?.reshape((SIZE, SIZE, 3))
}

/// 1 at the vertical bar and near it, [1, H, W].
fn vertical_bar() -> candle_core::Result<Tensor> {
    let is_near = |at: usize| (1..11).contains(&(at / SIZE)) && (1..8).contains(&(at % SIZE));
    let near = (0..SIZE * SIZE).map(|at| f32::from(u8::from(is_near(at))));
    Tensor::from_iter(near, &Device::Cpu)?.reshape((1, SIZE, SIZE))
}

/// Filters for vertical and for horizontal lines, and means over 3×3 pixels, as PyTorch would save
/// them.
fn write_weights() -> AnyResult<PathBuf> {
    let device = &Device::Cpu;
    let lines = (0..2 * 3 * 9).map(|at| {
        let across = if at < 27 { at % 3 } else { at % 9 / 3 };
        [-1f32, 2., -1.][across] / 3.
    });
    let means = (0..2 * 2 * 9).map(|at| if at / 18 == at / 9 % 2 { 1f32 / 9. } else { 0. });
    let two = |value: f32| Tensor::full(value, 2, device);
    let tensors = HashMap::from([
        ("conv1.weight", Tensor::from_iter(lines, device)?.reshape((2, 3, 3, 3))?),
        ("conv1.bias", two(0.)?),
        ("bn1.weight", two(1.)?),
        ("bn1.bias", two(0.)?),
        ("bn1.running_mean", two(10.)?),
        ("bn1.running_var", two(100.)?),
        ("bn1.num_batches_tracked", Tensor::new(1i64, device)?),
        ("conv2.weight", Tensor::from_iter(means, device)?.reshape((2, 2, 3, 3))?),
        ("conv2.bias", two(0.)?),
        ("fc.weight", Tensor::new(&[[100f32, -100.], [-100., 100.]], device)?),
        ("fc.bias", two(0.)?),
    ]);
    let folder = std::env::temp_dir();
    let path = folder.join(format!("foresee_your_cnn_{}.safetensors", std::process::id()));
    candle_core::safetensors::save(&tensors, &path)?;
    Ok(path)
}
