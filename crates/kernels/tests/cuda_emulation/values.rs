//! Inputs and comparisons of the kernels' tests.

use candle_core::{Device, Tensor, Var};

pub type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Values in [-scale, scale) from a small generator of its own.
pub fn values(shape: &[usize], scale: f32, seed: u64) -> Var {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let data: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 2. * scale
        })
        .collect();
    Var::from_tensor(&Tensor::from_vec(data, shape, &Device::Cpu).unwrap()).unwrap()
}

/// A tensor's values in the order of its indices.
pub fn flat(t: &Tensor) -> AnyResult<Vec<f32>> {
    Ok(t.flatten_all()?.to_vec1()?)
}

/// Fails if a value differs by more than `tolerance` of the largest expected one.
pub fn assert_close(name: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let largest = expected.iter().fold(1e-3f32, |a, b| a.max(b.abs()));
    for (i, (a, b)) in got.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * largest,
            "{name}: element {i} is {a}, not {b} (largest {largest})"
        );
    }
}
