//! Pools as compositions of candle's operations, for every device and type.

use candle_core::{Device, Tensor};

use super::{Axis, Window};
use crate::error::Result;
use crate::separable::apply;

/// The mean of each window. A value that is not finite makes all windows of its rows and columns
/// NaN.
pub(super) fn average(
    x: &Tensor,
    rows: &Axis,
    columns: &Axis,
    count_include_pad: bool,
) -> Result<Tensor> {
    apply(x, rows.means(count_include_pad), columns.means(count_include_pad))
}

/// Looks for the maxima's places without a gradient, then gathers them with one.
pub(super) fn max(x: &Tensor, rows: &Axis, columns: &Axis) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let planes = x.contiguous()?.reshape((b * c, h * w))?;
    let seen = planes.detach();
    let outputs = rows.windows.len() * columns.windows.len();
    let place = |i, j| -> Result<(Tensor, Tensor)> {
        let places = places(rows, columns, i, j, x.device())?;
        let values = seen.index_select(&places, 1)?;
        Ok((values, places.unsqueeze(0)?.broadcast_as((b * c, outputs))?.contiguous()?))
    };
    let (mut best, mut at) = place(0, 0)?;
    for i in 0..rows.longest() {
        for j in 0..columns.longest() {
            let (values, places) = place(i, j)?;
            let is_nan = values.ne(&values)?;
            let is_better = (values.gt(&best)? + is_nan)?.ne(0u8)?;
            best = is_better.where_cond(&values, &best)?;
            at = is_better.where_cond(&places, &at)?;
        }
    }
    let pooled = planes.gather(&at, 1)?;
    Ok(pooled.reshape((b, c, rows.windows.len(), columns.windows.len()))?)
}

/// Pixel (i, j) of each window as its place in the image; of windows that have no such pixel, the
/// last one in that direction, which changes no maximum.
fn places(rows: &Axis, columns: &Axis, i: usize, j: usize, device: &Device) -> Result<Tensor> {
    let of = |axis: &Axis, window: &Window, i: usize| {
        window.start + i.min(window.pixels - 1) * axis.step
    };
    let places = rows.windows.iter().flat_map(|row| {
        let start = of(rows, row, i) * columns.inputs;
        columns.windows.iter().map(move |column| (start + of(columns, column, j)) as u32)
    });
    Ok(Tensor::from_iter(places, device)?)
}
