//! What rules forecast for one face.

use candle_core::{DType, Tensor};
use foresee_perturb::ToneCurve;
use foresee_predict::{ImageExplanation, Matrix, first_order_change};

use super::opened::{Opened, Seen};
use super::prepared::Prepared;
use crate::error::Result;

/// What the contributions of this face alone say, `[K]`.
pub(crate) fn contribution(opened: &Opened, seen: &Seen, prepared: &Prepared) -> Result<Vec<f64>> {
    let explanation = explanation(opened, seen)?;
    let transformed = prepared.curve.map(|curve| {
        move |mask: f64| {
            let mut mask = [mask as f32];
            curve.apply(0, 0, &mut mask);
            f64::from(mask[0])
        }
    });
    let curve = transformed.as_ref().map(|curve| curve as &dyn Fn(f64) -> f64);
    Ok(explanation.contribution_change(&prepared.pruned, curve)?)
}

/// What is shown of one face.
pub(crate) fn explanation(opened: &Opened, seen: &Seen) -> Result<ImageExplanation> {
    let heads = opened.trained()?.network.heads();
    let pooled = heads.pool(&seen.features)?;
    let matrix = |table: &Tensor| -> Result<Matrix> {
        let rows = table.detach().squeeze(0)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        Ok(Matrix::from_rows(&rows))
    };
    let double = |row: Vec<f32>| row.into_iter().map(f64::from).collect::<Vec<f64>>();
    let readout: Vec<Vec<f64>> = heads.readout_weights()?.into_iter().map(double).collect();
    Ok(ImageExplanation {
        products: matrix(&pooled.features)?,
        masks: matrix(&pooled.masks)?,
        readout: Matrix::from_rows(&readout),
    })
}

/// What the gradients say, of an operation that prunes and does nothing else.
pub(crate) fn first_order(
    opened: &Opened,
    seen: &Seen,
    prepared: &Prepared,
    attributes: &[usize],
) -> Result<Option<Vec<f64>>> {
    if prepared.pruned.is_empty() || prepared.curve.is_some() || prepared.sigma > 0. {
        return Ok(None);
    }
    let network = opened.trained()?.network.keep_attributes(attributes)?.frozen();
    let logits = |z: &Tensor| {
        let output = network.forward_features(z).map_err(candle_core::Error::wrap)?;
        Ok(output.logits)
    };
    let columns: Vec<usize> = (0..attributes.len()).collect();
    Ok(Some(first_order_change(logits, &seen.features, &prepared.pruned, &columns)?))
}
