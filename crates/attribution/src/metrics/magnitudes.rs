//! How great the entries of an attribution are.

use candle_core::{D, Tensor};

use crate::error::{Error, Result};
use crate::tensors::{check_finite, to_f64};

/// The absolute values of each input's entries in shares of the greatest, so that their sums do not
/// overflow; `None` for an input whose entries are all 0.
pub(super) fn magnitudes(attribution: &Tensor) -> Result<Vec<Option<Vec<f64>>>> {
    if attribution.rank() < 2 || attribution.elem_count() == 0 {
        let expected = "[B, ...], at least one input of at least one entry,";
        return Err(Error::shape("the attribution", attribution.dims(), expected));
    }
    let attribution = check_finite(attribution.flatten_from(1)?, || "the attribution".into())?;
    let size = attribution.dim(D::Minus1)?;
    Ok(to_f64(&attribution)?
        .chunks(size)
        .map(|values| {
            let greatest = values.iter().fold(0f64, |greatest, v| greatest.max(v.abs()));
            (greatest > 0.).then(|| values.iter().map(|v| v.abs() / greatest).collect())
        })
        .collect())
}
