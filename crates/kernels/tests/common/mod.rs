//! Random tensors and rows, and comparisons of tensors.

use candle_core::{DType, Device, Tensor, Var};
use foresee_kernels::Rows;

pub type AnyResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Numbers in [0, 1) that the seed decides.
fn draws(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64
    })
}

pub fn values(shape: &[usize], scale: f32, seed: u64) -> Var {
    let all = draws(seed).map(|draw| (2. * draw as f32 - 1.) * scale);
    let data: Vec<f32> = all.take(shape.iter().product()).collect();
    Var::from_tensor(&Tensor::from_vec(data, shape, &Device::Cpu).unwrap()).unwrap()
}

pub fn in_f64(t: &Var) -> Var {
    Var::from_tensor(&t.to_dtype(DType::F64).unwrap()).unwrap()
}

pub fn flat(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

pub fn bits(t: &Tensor) -> Vec<u32> {
    let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

/// The largest difference, relative to the largest value of the reference.
pub fn distance(a: &Tensor, reference: &Tensor) -> f64 {
    assert_eq!(a.dims(), reference.dims());
    let (a, reference) = (flat(a), flat(reference));
    let most = reference.iter().fold(1e-3f64, |most, v| most.max(v.abs()));
    let off = a.iter().zip(&reference).map(|(a, b)| (a - b).abs());
    off.fold(0., |most: f64, v| if v > most || v.is_nan() { v } else { most }) / most
}

/// Rows of which each is kept with this probability.
pub fn some_rows(k: usize, c: usize, share: f64, seed: u64) -> Rows {
    let mut draws = draws(seed);
    let mut is_kept = |_: &usize| draws.next().unwrap() < share;
    let kept = (0..k).map(|_| (0..c).filter(&mut is_kept).collect()).collect();
    Rows::new(c, kept).unwrap()
}
