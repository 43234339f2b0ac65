//! The paper's heads.

use candle_core::{D, Tensor};
use foresee_kernels::{Precision, Rows, conv2d, reference};

use super::arguments::{Common, check_float, check_size};
use super::{Forward, Inputs};
use crate::error::OpError;

/// sigmoid(conv(z)) ⊗ z (Eq. 1): z [B, C, H, W], weight [K·C, C, n, n], bias `[K·C]` → [B, K, C, H,
/// W]. Rows that are not kept are 0, whatever z is.
pub(super) fn masks(inputs: &Inputs, rows: &Rows) -> Forward<Tensor> {
    let [z, weight, bias] = three(inputs, ["z", "weight", "bias"])?;
    let &[b, c, h, w] = z.dims() else {
        let expected = "[B, C, H, W]".into();
        return Err(OpError::Shape { what: "z", got: z.dims().to_vec(), expected });
    };
    let k = rows.attributes();
    check_weight(&weight, rows)?;
    if c != rows.channels() {
        return Err(wrong_weight(&weight, rows));
    }
    check_size(&[b, k, c, h, w])?;
    let logits = conv2d(&z, &weight, &bias, 1, Precision::F32)?.reshape((b, k, c, h, w))?;
    let masked = reference::masks_of_logits(&logits, rows)?.broadcast_mul(&z.unsqueeze(1)?)?;
    if rows.is_all() {
        return Ok(masked);
    }
    let is_kept = rows.to_tensor(z.device())?.ne(0f64)?.reshape((1, k, c, 1, 1))?;
    let is_kept = is_kept.broadcast_as(masked.shape())?;
    Ok(is_kept.where_cond(&masked, &masked.detach().zeros_like()?)?)
}

/// Σ_c weight[k, c]·p[b, k, c] + bias[k]: p [B, K, C], weight [K, C], bias `[K]` → [B, K].
pub(super) fn readout(inputs: &Inputs) -> Forward<Tensor> {
    let [p, weight, bias] = three(inputs, ["p", "weight", "bias"])?;
    let &[_, k, c] = p.dims() else {
        let expected = "[B, K, C]".into();
        return Err(OpError::Shape { what: "p", got: p.dims().to_vec(), expected });
    };
    for (what, x, expected) in [("weight", &weight, &[k, c][..]), ("bias", &bias, &[k])] {
        if x.dims() != expected {
            let expected = format!("{expected:?}");
            return Err(OpError::Shape { what, got: x.dims().to_vec(), expected });
        }
    }
    Ok(p.broadcast_mul(&weight)?.sum(D::Minus1)?.broadcast_add(&bias)?)
}

/// Whether the weight is [K·C, C, n, n] of these rows.
pub(crate) fn check_weight(weight: &Tensor, rows: &Rows) -> Forward<()> {
    match *weight.dims() {
        [filters, channels, _, _]
            if filters == rows.attributes() * rows.channels() && channels == rows.channels() =>
        {
            Ok(())
        }
        _ => Err(wrong_weight(weight, rows)),
    }
}

fn wrong_weight(weight: &Tensor, rows: &Rows) -> OpError {
    let (k, c) = (rows.attributes(), rows.channels());
    let expected = format!("[{}, {c}, n, n], for masks of {k} attributes on {c} channels", k * c);
    OpError::Shape { what: "weight", got: weight.dims().to_vec(), expected }
}

/// Three inputs, of one type and on one device.
fn three(inputs: &Inputs, names: [&'static str; 3]) -> Forward<[Tensor; 3]> {
    let given = [inputs.need(0)?, inputs.need(1)?, inputs.need(2)?];
    given.iter().zip(names).try_for_each(|(x, name)| check_float(name, x))?;
    let common = Common::of("an input", &given)?;
    Ok([common.convert(given[0])?, common.convert(given[1])?, common.convert(given[2])?])
}
