//! The CAM family.

use candle_core::Tensor;
use foresee_attribution::*;

use crate::{AnyResult, assert_near, row, tensor, values};

#[test]
fn cams() -> AnyResult {
    // f = 2·mean A₀ - mean A₁ over two pixels.
    let (a, w) = (tensor(&[1., 2., 3., 4.], &[1, 2, 1, 2]), tensor(&[2., -1.], &[2]));
    let model = SplitModel::new(
        |x: &Tensor| Ok(x.clone()),
        |z: &Tensor| z.mean((2, 3))?.broadcast_mul(&w)?.sum_keepdim(1),
    );
    assert_near(&values(&cam(&a, &w)?), &[-1., 0.]);
    assert_near(
        &values(&grad_cam(&model, &a, 0, &GradCam { relu: false, ..Default::default() })?),
        &[-0.5, 0.],
    );
    assert_near(&values(&grad_cam(&model, &a, 0, &GradCam::default())?), &[0., 0.]);
    // g₀ = 1: α = 1/(2 + 3) at both pixels, and they add up to 0.4; g₁ < 0 counts for nothing.
    assert_near(&values(&grad_cam_plus_plus(&model, &a, 0, &GradCam::default())?), &[0.4, 0.8]);
    // Behind a gradient of 1e-20, whose cube is 0 in f32, α is 1/2: of both pixels together 1e-20.
    let faint =
        SplitModel::new(|x: &Tensor| Ok(x.clone()), |z: &Tensor| z.sum((2, 3))?.affine(1e-20, 0.));
    let a32 = a.narrow(1, 0, 1)?.to_dtype(candle_core::DType::F32)?;
    let map = values(
        &grad_cam_plus_plus(&faint, &a32, 0, &GradCam::default())?
            .to_dtype(candle_core::DType::F64)?,
    );
    assert!((map[0] / 1e-20 - 1.).abs() < 1e-6 && (map[1] / 2e-20 - 1.).abs() < 1e-6, "{map:?}");
    // Where ΣA = -2 and g = 1 there is no α.
    let (pole, sum) = (
        tensor(&[-1.5, -0.5], &[1, 1, 1, 2]),
        SplitModel::new(|x: &Tensor| Ok(x.clone()), |z: &Tensor| z.sum((2, 3))),
    );
    assert_near(
        &values(&grad_cam_plus_plus(
            &sum,
            &pole,
            0,
            &GradCam { relu: false, ..Default::default() },
        )?),
        &[0., 0.],
    );
    assert_near(
        &values(&resize(&cam(&a, &w)?, 2, 4, Interpolation::Nearest)?),
        &[-1., -1., 0., 0., -1., -1., 0., 0.],
    );
    assert_near(
        &values(&resize(&cam(&a, &w)?, 1, 4, Interpolation::Bilinear)?),
        &[-1., -0.75, -0.25, 0.],
    );
    Ok(())
}

#[test]
fn guided_grad_cam_is_the_product_of_both() -> AnyResult {
    // A = (x, 2x), f = 3·mean A₀ - mean A₁ over two pixels: ∂f/∂A = (3/2, -1/2).
    let layers = Layers::new()
        .conv2d("conv", &tensor(&[1., 2.], &[2, 1, 1, 1]), None, Conv2d::default())?
        .relu("relu")?;
    let layers = layers.global_average_pool("gap")?.linear("last", &row(&[3., -1.]), None)?;
    let layers = layers.model()?;
    let x = tensor(&[1., 2.], &[1, 1, 1, 2]);
    // Of the gradient 3/2 - 1 only 3/2 comes through the ReLU; Grad-CAM is 3/2·x - 1/2·2x.
    assert_near(&values(&layers.target(0).gradient(&x)?), &[0.5, 0.5]);
    assert_near(&values(&layers.guided_backprop(&x, 0)?), &[1.5, 1.5]);
    assert_near(
        &values(&grad_cam(&layers.split_at("relu")?, &x, 0, &GradCam::default())?),
        &[0.5, 1.],
    );
    assert_near(
        &values(&layers.guided_grad_cam("relu", &x, 0, Interpolation::Nearest)?),
        &[0.75, 1.5],
    );
    Ok(())
}
