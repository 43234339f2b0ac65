//! Training for channels that say different things.

use candle_core::{Result as CandleResult, Tensor};

/// Keeps ρ finite for a channel that never changes.
const STILL: f64 = 1e-6;

/// The mean of ρ² over all pairs of different channels, for features z [B, H, W, C]: a scalar,
/// differentiable in z. ρ is over the positions of these images (Cogswell et al., 2016, take the
/// covariance instead).
pub(super) fn mean_squared_correlation(z: &Tensor) -> CandleResult<Tensor> {
    let z = z.flatten_to(2)?;
    let (n, c) = z.dims2()?;
    let centred = z.broadcast_sub(&z.mean_keepdim(0)?)?;
    let covariance = (centred.t()?.contiguous()?.matmul(&centred)? / n as f64)?;
    let variance = (centred.sqr()?.mean_keepdim(0)? + STILL)?;
    let squares = covariance.sqr()?.broadcast_div(&variance)?.broadcast_div(&variance.t()?)?;
    let diagonal = Tensor::eye(c, z.dtype(), z.device())?;
    let others = (squares * (1. - diagonal)?)?;
    others.sum_all()? / (c * c.saturating_sub(1)).max(1) as f64
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn of_three_channels_by_hand_and_by_differences() {
        // ρ is 1, 0.5 and 0.5.
        let values = [[1f64, 2., 1.], [2., 4., 3.], [3., 6., 2.]].concat();
        let z = Var::from_vec(values.clone(), (1, 3, 1, 3), &Device::Cpu).unwrap();
        let mean = mean_squared_correlation(&z).unwrap();
        let found = mean.to_scalar::<f64>().unwrap();
        assert!((found - 0.5).abs() < 1e-5, "{found}");
        let gradient = mean.backward().unwrap();
        let gradient = gradient.get(&z).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for i in 0..9 {
            let at = |step: f64| {
                let mut moved = values.clone();
                moved[i] += step;
                let z = Tensor::from_vec(moved, (1, 3, 1, 3), &Device::Cpu).unwrap();
                mean_squared_correlation(&z).unwrap().to_scalar::<f64>().unwrap()
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((slope - gradient[i]).abs() < 1e-6, "{i}: {slope} against {}", gradient[i]);
        }
    }
}
