//! How exact numbers of a type are.

use candle_core::DType;

/// Roundings of a sum or of a model's output, in epsilons of its numbers.
pub(crate) const ROUNDINGS: f64 = 64.;

/// Relative rounding of a type.
pub(crate) fn epsilon(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON,
        DType::F32 => f64::from(f32::EPSILON),
        DType::F16 => 1e-3,
        _ => 8e-3,
    }
}
