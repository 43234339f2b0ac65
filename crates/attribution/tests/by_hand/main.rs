//! Each method on a case that can be followed with pencil and paper.

mod cams;
mod deep_lift;
mod gradients;
mod importance;
mod metrics;
mod models;
mod refusals;
mod relevance;
mod study;

use candle_core::{Device, Result as CandleResult, Tensor};
use foresee_attribution::*;

type AnyResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn row(values: &[f64]) -> Tensor {
    Tensor::from_vec(values.to_vec(), (1, values.len()), &Device::Cpu).unwrap()
}

fn tensor(values: &[f64], shape: &[usize]) -> Tensor {
    Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_near(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{got:?}");
    assert!(
        got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9),
        "{got:?}, not {expected:?}"
    );
}

/// f = x₀² + 3x₁ - x₀x₁ in column 1, whose gradient is (2x₀ - x₁, 3 - x₀).
fn quadratic(x: &Tensor) -> CandleResult<Tensor> {
    let (a, b) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
    let f = ((a.sqr()? + (&b * 3.)?)? - (&a * &b)?)?;
    Tensor::cat(&[f.zeros_like()?, f], 1)
}

/// h = (x₀ + 2x₁, 3x₀ + x₁), ReLU, h₀ - h₁: at (1, 1) h = (3, 4), f = -1.
fn two_layers() -> Result<GraphModel> {
    let first = tensor(&[1., 2., 3., 1.], &[2, 2]);
    let hidden = Layers::new().linear("first", &first, None)?.relu("relu")?;
    hidden.linear("second", &row(&[1., -1.]), None)?.model()
}

/// Two attributes on two channels of one row of two pixels.
fn masked() -> Result<GraphModel> {
    // M^0 is 1/2 everywhere; M^1 = sigmoid(z₀) for both channels.
    let weight = tensor(&[0., 0., 0., 0., 1., 0., 1., 0.], &[4, 2, 1, 1]);
    let layers = Layers::new()
        .gate("masks", &weight, &tensor(&[0.; 4], &[4]))?
        .global_average_pool("gap")?;
    let layers = layers.readout(
        "readout",
        &tensor(&[3., 1., 1., 2.], &[2, 2]),
        &tensor(&[0.5, 0.], &[2]),
    )?;
    layers.model()
}
