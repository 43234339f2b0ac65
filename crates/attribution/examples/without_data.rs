//! Several methods on a small network of one's own, without any data: `cargo run --release -p
//! foresee-attribution --example without_data`.
//!
//! The output of the network is how much brighter the left upper corner of an image is than its
//! right lower one. A good attribution shows these corners.

use candle_core::{Device, Tensor};
use foresee_attribution::{
    Composite, Conv2d, GradCam, GraphModel, IntegratedGradients, Layers, Lime, Reduce, Result,
    SmoothGrad, blur, deletion, grad_cam, grid_segments, insertion, integrated_gradients, lime,
    per_pixel, pointing_game, sensitivity, smooth_grad,
};

const SIZE: usize = 12;

/// A blur, a ReLU, and a linear layer whose weights are +1 in one corner and -1 in the other.
fn network() -> Result<GraphModel> {
    let blur = Tensor::full(1f64 / 9., (1, 1, 3, 3), &Device::Cpu)?;
    let corner = |at: usize| {
        f64::from(u8::from(at / SIZE < 4 && at % SIZE < 4))
            - f64::from(u8::from(at / SIZE >= 8 && at % SIZE >= 8))
    };
    let weights =
        Tensor::from_iter((0..SIZE * SIZE).map(corner), &Device::Cpu)?.reshape((1, SIZE * SIZE))?;
    let blurred = Layers::new()
        .conv2d("blur", &blur, None, Conv2d { padding: 1, ..Default::default() })?
        .leaky_relu("relu", 0.01)?;
    blurred.flatten("pixels")?.linear("corners", &weights, None)?.model()
}

fn main() -> Result<()> {
    let (model, target) = (network()?, 0);
    let noise = |at: usize| 0.5 + 0.5 * (0.37 * (at * at) as f64).sin();
    let image = Tensor::from_iter((0..SIZE * SIZE).map(noise), &Device::Cpu)?
        .reshape((1, 1, SIZE, SIZE))?;
    let f = model.target(target);
    let relevance = model.lrp(&image, target, &Composite::epsilon_plus())?;
    let segments = grid_segments(SIZE, SIZE, 4, 4)?;
    let maps = [
        ("sensitivity (Eq. 1)", per_pixel(&sensitivity(&f, &image)?, Reduce::Norm)?),
        (
            "SmoothGrad",
            per_pixel(
                &smooth_grad(|x| f.gradient(x), &image, &SmoothGrad::default())?,
                Reduce::Sum,
            )?,
        ),
        (
            "integrated gradients",
            per_pixel(
                &integrated_gradients(&f, &image, None, &IntegratedGradients::default())?
                    .attribution,
                Reduce::Sum,
            )?,
        ),
        (
            "guided backpropagation",
            per_pixel(&model.guided_backprop(&image, target)?, Reduce::Sum)?,
        ),
        ("LRP (Eq. 2)", per_pixel(&relevance.attribution, Reduce::Sum)?),
        ("Grad-CAM", grad_cam(&model.split_at("relu")?, &image, target, &GradCam::default())?),
        (
            "LIME",
            per_pixel(
                &lime(&f, &image, &segments, None, &Lime::default())?.attribution,
                Reduce::Sum,
            )?,
        ),
    ];
    let corner = (0..SIZE * SIZE).map(|at| f64::from(u8::from(at / SIZE < 5 && at % SIZE < 5)));
    let region = Tensor::from_iter(corner, &Device::Cpu)?.reshape((1, SIZE, SIZE))?;
    println!(
        "f = {:.3}; LRP's layers from the last: {:.3?}",
        relevance.output[0],
        relevance.layers.iter().map(|l| l.relevance[0]).collect::<Vec<_>>()
    );
    let blurred = blur(&image, 2.)?;
    for (name, map) in &maps {
        let deletion = deletion(&f, &image, map, None, 20)?[0].area();
        let insertion = insertion(&f, &image, map, Some(&blurred), 20)?[0].area();
        let Some(pointing) = pointing_game(map, &region, 0.)?[0] else { continue };
        println!(
            "{name:24} deletion {deletion:7.3}, insertion {insertion:7.3}, hit {:.0}, \
             positive part in the corner {:.0} %",
            pointing.hit,
            100. * pointing.energy
        );
    }
    Ok(())
}
