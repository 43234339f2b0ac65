//! Eigen-CAM (Muhammad & Yeasin, 2020).

use candle_core::Tensor;
use foresee_stats::range;
use nalgebra::{DMatrix, SymmetricEigen};

use super::grad_cam::{GradCam, activation_maps, positive_part};
use crate::activations::Activations;
use crate::error::{Error, Result, check};
use crate::precision::{ROUNDINGS, epsilon};
use crate::tensors::{check_input, in_batches, to_f64};

/// Passes of the eigenvalues' algorithm at most; some two for each channel are usual.
const PASSES: usize = 100_000;

/// Eigen-CAM (Muhammad & Yeasin, 2020): the pixels' values of the activation's channels, along the
/// direction in which they vary most. With X [H·W, C] the activation without each channel's mean,
/// and v its first right singular vector, the map is X·v; its positive part unless the options say
/// otherwise. [B, H, W] of the activation.
///
/// It asks for no output: the map is the same whatever the model says, and shows what the layer
/// sees.
///
/// The means are subtracted as in pytorch-grad-cam; the paper does not. The sign of a singular
/// vector is arbitrary. Here it makes the entry of the greatest size positive, as does
/// pytorch-grad-cam's `get_2d_projection_with_sign_correction` (Chung & Ying, 2025). Its `EigenCAM`
/// leaves the sign to LAPACK, so that the two maps are equal or opposite.
///
/// # Errors
/// If the model fails; or where the map would be chance: if no channel varies over the pixels, two
/// directions vary alike, or the largest and the smallest value have equal magnitude.
pub fn eigen_cam<A: Activations>(model: &A, x: &Tensor, options: &GradCam) -> Result<Tensor> {
    check_input(x)?;
    let batch = options.batch.unwrap_or_else(|| model.batch_size());
    check(batch >= 1, "batch", batch, "a number from 1")?;
    in_batches(x, batch, |x| {
        let z = activation_maps(model, x)?;
        let (b, c, h, w) = z.dims4()?;
        let mut maps = Vec::with_capacity(b * h * w);
        for values in to_f64(&z)?.chunks((c * h * w).max(1)) {
            maps.extend(first_component(values, c, epsilon(z.dtype()))?);
        }
        let maps = Tensor::from_vec(maps, (b, h, w), z.device())?.to_dtype(z.dtype())?;
        positive_part(maps, options)
    })
}

/// X·v of one activation, whose channels lie one after the other; `epsilon` is the rounding of its
/// values.
fn first_component(values: &[f64], channels: usize, epsilon: f64) -> Result<Vec<f64>> {
    let pixels = values.len() / channels.max(1);
    let mut x = DMatrix::from_column_slice(pixels, channels, values);
    // Squares of the values then are neither infinite nor 0.
    let scale = x.amax();
    if scale > 0. {
        x /= scale;
    }
    let rounding = ROUNDINGS * epsilon * x.norm();
    for mut channel in x.column_iter_mut() {
        let mean = channel.mean();
        channel.add_scalar_mut(-mean);
    }
    let map: Vec<f64> = projection(&x, rounding, epsilon)?.iter().map(|v| v * scale).collect();
    let (least, greatest) = range(&map);
    if (greatest + least).abs() <= epsilon.sqrt() * greatest.max(-least) {
        return Err(Error::Degenerate(
            "Eigen-CAM has no sign: the largest and the smallest value of its map have equal \
             magnitude",
        ));
    }
    Ok(if -least > greatest { map.iter().map(|v| -v).collect() } else { map })
}

/// X·v up to its sign, by the eigenvectors of the smaller of XᵀX and XXᵀ.
fn projection(x: &DMatrix<f64>, rounding: f64, epsilon: f64) -> Result<Vec<f64>> {
    let is_tall = x.ncols() <= x.nrows();
    let gram = if is_tall { x.tr_mul(x) } else { x * x.transpose() };
    let eigen = SymmetricEigen::try_new(gram, f64::EPSILON, PASSES).ok_or(Error::Degenerate(
        "Eigen-CAM finds no eigenvectors of this activation: its values are out of proportion",
    ))?;
    let squares = eigen.eigenvalues.as_slice();
    let mut order: Vec<usize> = (0..squares.len()).collect();
    order.sort_by(|&i, &j| squares[j].total_cmp(&squares[i]));
    let first = order.first().copied().filter(|&i| squares[i] > rounding.powi(2));
    let first = first.ok_or(Error::Degenerate(
        "Eigen-CAM has no map: no channel of the activation varies over the pixels",
    ))?;
    // σ₁ - σ₂ up to √ε·σ₁, in squares.
    let is_alike =
        |&second: &usize| squares[first] - squares[second] <= 2. * epsilon.sqrt() * squares[first];
    if order.get(1).is_some_and(is_alike) {
        return Err(Error::Degenerate(
            "Eigen-CAM has no map: the activation varies alike in two directions",
        ));
    }
    let vector = eigen.eigenvectors.column(first);
    Ok(match is_tall {
        true => (x * vector).iter().copied().collect(),
        false => vector.iter().map(|v| v * squares[first].sqrt()).collect(),
    })
}
